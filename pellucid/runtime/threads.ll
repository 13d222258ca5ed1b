; The thread pool: one job at a time, shared out in chunks, by workers that live as long as the process.
;
;   the caller                                        a worker
;   lock, write the job                               seen = generation
;   gate = (slots: places for workers, inside: 0)     take a place: slots - 1, inside + 1   (none left: idle)
;   generation + 1, wake those who sleep              take chunks until none is left
;   take chunks until none is left                    inside - 1                            (last one out: wake the caller)
;   slots = 0, wait for inside = 0, unlock            idle: spin while generation = seen, then sleep on it
;
; A worker that wakes too late finds no place and never touches a job that is over, so the caller waits only
; for workers that are inside. Whoever meets a locked pool (a nested call, another thread) works alone.
; Every word that several threads write has a cache line of its own.
;
; FUTEX_NUMBER (the system call) and PAUSE (the instruction that waits for a moment) are filled in by threads.py.

@lock = internal global [16 x i32] zeroinitializer, align 64
@gate = internal global [8 x i64] zeroinitializer, align 64        ; slots << 32 | inside
@next = internal global [64 x [8 x i64]] zeroinitializer, align 64 ; the next chunk of each share
@status = internal global [8 x i64] zeroinitializer, align 64      ; OR of what the chunks returned
@generation = internal global [16 x i32] zeroinitializer, align 64 ; counts jobs; idle workers sleep on it
@sleepers = internal global [16 x i32] zeroinitializer, align 64
@caller_sleeps = internal global [16 x i32] zeroinitializer, align 64

%job = type { ptr, ptr, ptr, i64, i64, i64, i64 } ; kernel, operands, params, n, grain, chunks, shares
@job = internal global %job zeroinitializer, align 64

; Settings and workers; written only under the lock, or before the first job.
@threads = internal global i64 1, align 64 ; callers included
@spins = internal global i64 1000
@leave = internal global i32 0             ; 1: workers go home, and no more are started
@workers = internal global i64 0           ; how many run; their handles
@handles = internal global [1024 x i64] zeroinitializer

; With few CPUs, Linux wakes a worker on the CPU of the caller if it finds the others busy on average, and the worker
; then waits for what it came to help with. So there the workers' affinity leaves that CPU out.
@steer = internal global i32 0
@cpus = internal global [16 x i64] zeroinitializer ; a cpu_set_t: what the process may use
@avoided = internal global i32 -1                  ; the CPU that the workers may not use now

@last_middling = internal global [8 x i64] zeroinitializer, align 64 ; when the last middling range came, in ns
@stream = internal global i64 0                                       ; how many came close to each other

; OpenBLAS hands its jobs over one call at a time: it numbers its buffers by the thread numbers that we give.
@blas_turn = internal global [8 x i64] zeroinitializer, align 64 ; a pthread_mutex_t; zeros are its initial state

%blas_call = type { ptr, ptr, i64, i64 } ; dojob, jobdata, size of an element, dojob_data
%blas_job = type { ptr, i64 }            ; %blas_call, number of the job

declare i64 @syscall(i64, ...)
declare void @PAUSE(PAUSE_TYPE)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @usleep(i32)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_getcpu()
declare i32 @pthread_setaffinity_np(i64, i64, ptr)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; ---- futex: sleep while a word has a value; wake those who sleep on it ------------------------------------

define internal void @sleep_while(ptr %word, i32 %value) {
  %r = call i64 (i64, ...) @syscall(i64 FUTEX_NUMBER, ptr %word, i64 128, i32 %value, ptr null) ; FUTEX_WAIT_PRIVATE
  ret void
}

define internal void @wake(ptr %word, i32 %count) {
  %r = call i64 (i64, ...) @syscall(i64 FUTEX_NUMBER, ptr %word, i64 129, i32 %count) ; FUTEX_WAKE_PRIVATE
  ret void
}

; ---- chunks -----------------------------------------------------------------------------------------------

; The chunks lie in as many shares as threads may come. A thread begins with its own share, which is the same part of
; every job of this size: what it finds there lies in its own cache, if an earlier job wrote it. Then it helps others.
define internal void @take_chunks(i64 %own) {
entry:
  %kernel = load ptr, ptr @job
  %operands.at = getelementptr %job, ptr @job, i64 0, i32 1
  %operands = load ptr, ptr %operands.at
  %params.at = getelementptr %job, ptr @job, i64 0, i32 2
  %params = load ptr, ptr %params.at
  %n.at = getelementptr %job, ptr @job, i64 0, i32 3
  %n = load i64, ptr %n.at
  %grain.at = getelementptr %job, ptr @job, i64 0, i32 4
  %grain = load i64, ptr %grain.at
  %chunks.at = getelementptr %job, ptr @job, i64 0, i32 5
  %chunks = load i64, ptr %chunks.at
  %shares.at = getelementptr %job, ptr @job, i64 0, i32 6
  %shares = load i64, ptr %shares.at
  br label %share
share:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %emptied ]
  %bits.before = phi i64 [ 0, %entry ], [ %bits, %emptied ]
  %some = icmp slt i64 %turn, %shares
  br i1 %some, label %begin.share, label %done
begin.share:
  %sum = add i64 %own, %turn
  %number = urem i64 %sum, %shares
  %next.number = add i64 %number, 1
  %end.of = mul i64 %next.number, %chunks
  %last = udiv i64 %end.of, %shares
  %counter = getelementptr [64 x [8 x i64]], ptr @next, i64 0, i64 %number
  br label %take
take:
  %bits = phi i64 [ %bits.before, %begin.share ], [ %bits.after, %run ]
  %chunk = atomicrmw add ptr %counter, i64 1 monotonic
  %more = icmp slt i64 %chunk, %last
  br i1 %more, label %run, label %emptied
run:
  %begin = mul i64 %chunk, %grain
  %past = add i64 %begin, %grain
  %end = call i64 @llvm.smin.i64(i64 %past, i64 %n)
  %r = call i64 %kernel(ptr %operands, ptr %params, i64 %begin, i64 %end)
  %bits.after = or i64 %bits, %r
  br label %take
emptied:
  %turn.next = add i64 %turn, 1
  br label %share
done:
  %old = atomicrmw or ptr @status, i64 %bits.before monotonic
  ret void
}

; Under the lock: divide the chunks of a job among %threads threads.
define internal void @divide(i64 %n, i64 %grain, i64 %threads) {
entry:
  %shares = call i64 @llvm.smin.i64(i64 %threads, i64 64)
  %n.padded = add i64 %n, %grain
  %n.less = sub i64 %n.padded, 1
  %chunks = sdiv i64 %n.less, %grain
  %chunks.at = getelementptr %job, ptr @job, i64 0, i32 5
  store i64 %chunks, ptr %chunks.at
  %shares.at = getelementptr %job, ptr @job, i64 0, i32 6
  store i64 %shares, ptr %shares.at
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]
  %before = mul i64 %i, %chunks
  %first = udiv i64 %before, %shares
  %counter = getelementptr [64 x [8 x i64]], ptr @next, i64 0, i64 %i
  store atomic i64 %first, ptr %counter monotonic, align 8
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %shares
  br i1 %more, label %loop, label %done
done:
  ret void
}

; The same chunks in order on the calling thread.
define internal i64 @serial(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain) {
entry:
  br label %take
take:
  %begin = phi i64 [ 0, %entry ], [ %past, %run ]
  %bits = phi i64 [ 0, %entry ], [ %bits.after, %run ]
  %more = icmp slt i64 %begin, %n
  br i1 %more, label %run, label %done
run:
  %past = add i64 %begin, %grain
  %end = call i64 @llvm.smin.i64(i64 %past, i64 %n)
  %r = call i64 %kernel(ptr %operands, ptr %params, i64 %begin, i64 %end)
  %bits.after = or i64 %bits, %r
  br label %take
done:
  ret i64 %bits
}

; ---- workers ----------------------------------------------------------------------------------------------

; The argument is the worker's number, from 1 on.
define internal ptr @worker(ptr %argument) {
entry:
  %own = ptrtoint ptr %argument to i64
  br label %look
look:
  %seen = load atomic i32, ptr @generation seq_cst, align 4
  %leave = load atomic i32, ptr @leave seq_cst, align 4
  %go = icmp ne i32 %leave, 0
  br i1 %go, label %home, label %enter
home:
  ret ptr null
enter:
  %old = load atomic i64, ptr @gate acquire, align 8
  %slots = lshr i64 %old, 32
  %full = icmp eq i64 %slots, 0
  br i1 %full, label %idle, label %try
try:
  %new = sub i64 %old, 4294967295 ; slots - 1, inside + 1
  %pair = cmpxchg ptr @gate, i64 %old, i64 %new seq_cst seq_cst
  %in = extractvalue { i64, i1 } %pair, 1
  br i1 %in, label %work, label %enter
work:
  call void @take_chunks(i64 %own)
  %before = atomicrmw sub ptr @gate, i64 1 seq_cst
  %last = icmp eq i64 %before, 1 ; closed, and nobody else inside
  br i1 %last, label %finished, label %idle
finished:
  %sleeping = load atomic i32, ptr @caller_sleeps seq_cst, align 4
  %awake = icmp eq i32 %sleeping, 0
  br i1 %awake, label %idle, label %rouse
rouse:
  call void @wake(ptr @gate, i32 1)
  br label %idle
idle:
  %limit = load atomic i64, ptr @spins monotonic, align 8
  br label %spin
spin:
  %i = phi i64 [ 0, %idle ], [ %i.next, %again ]
  %now = load atomic i32, ptr @generation seq_cst, align 4
  %changed = icmp ne i32 %now, %seen
  br i1 %changed, label %look, label %wait
wait:
  %tired = icmp uge i64 %i, %limit
  br i1 %tired, label %sleep, label %again
again:
  %i.next = add i64 %i, 1
  call void @PAUSE(PAUSE_ARGUMENT)
  br label %spin
sleep:
  %s0 = atomicrmw add ptr @sleepers, i32 1 seq_cst
  call void @sleep_while(ptr @generation, i32 %seen)
  %s1 = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %look
}

; Start a thread that receives no signal but those of its own faults. Returns pthread_create's result.
define internal i32 @spawn(ptr %handle, ptr %main, ptr %argument) {
  %blocked = alloca [16 x i64], align 8 ; a sigset_t
  %before = alloca [16 x i64], align 8
  call void @llvm.memset.p0.i64(ptr %blocked, i8 -1, i64 128, i1 false)
  store i64 -1273, ptr %blocked ; all but SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV
  %r0 = call i32 @pthread_sigmask(i32 2, ptr %blocked, ptr %before) ; SIG_SETMASK
  %r = call i32 @pthread_create(ptr %handle, ptr null, ptr %main, ptr %argument)
  %r1 = call i32 @pthread_sigmask(i32 2, ptr %before, ptr null)
  ret i32 %r
}

; Under the lock: have threads - 1 workers, or as many as the system gives. Returns their number.
define internal i64 @hire() {
entry:
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %others = sub i64 %threads, 1
  %wanted = call i64 @llvm.smin.i64(i64 %others, i64 1024)
  br label %check
check:
  %have = load i64, ptr @workers
  %leave = load atomic i32, ptr @leave seq_cst, align 4
  %open = icmp eq i32 %leave, 0
  %fewer = icmp slt i64 %have, %wanted
  %more = and i1 %open, %fewer
  br i1 %more, label %start, label %done
start:
  %handle = getelementptr i64, ptr @handles, i64 %have
  %number = add i64 %have, 1
  %argument = inttoptr i64 %number to ptr
  %r = call i32 @spawn(ptr %handle, ptr @worker, ptr %argument)
  %ok = icmp eq i32 %r, 0
  br i1 %ok, label %count, label %done
count:
  %one.more = add i64 %have, 1
  store i64 %one.more, ptr @workers
  store i32 -1, ptr @avoided
  br label %check
done:
  %usable = call i64 @llvm.smin.i64(i64 %have, i64 %wanted)
  ret i64 %usable
}

; Under the lock: keep the workers away from the caller's CPU.
define internal void @make_way() {
entry:
  %mask = alloca [16 x i64], align 8
  %steer = load i32, ptr @steer
  %on = icmp ne i32 %steer, 0
  br i1 %on, label %look, label %done
look:
  %cpu = call i32 @sched_getcpu()
  %avoided = load i32, ptr @avoided
  %moved = icmp ne i32 %cpu, %avoided
  %known = icmp ult i32 %cpu, 1024
  %change = and i1 %moved, %known
  br i1 %change, label %build, label %done
build:
  store i32 %cpu, ptr @avoided
  call void @llvm.memcpy.p0.p0.i64(ptr %mask, ptr @cpus, i64 128, i1 false)
  %cpu.64 = zext i32 %cpu to i64
  %word.number = lshr i64 %cpu.64, 6
  %bit.number = and i64 %cpu.64, 63
  %word.at = getelementptr i64, ptr %mask, i64 %word.number
  %word = load i64, ptr %word.at
  %bit = shl i64 1, %bit.number
  %others = xor i64 %bit, -1
  %rest = and i64 %word, %others
  store i64 %rest, ptr %word.at
  %have = load i64, ptr @workers
  br label %check
check:
  %i = phi i64 [ 0, %build ], [ %i.next, %set ]
  %more = icmp slt i64 %i, %have
  br i1 %more, label %set, label %done
set:
  %handle.at = getelementptr i64, ptr @handles, i64 %i
  %handle = load i64, ptr %handle.at
  %r = call i32 @pthread_setaffinity_np(i64 %handle, i64 128, ptr %mask)
  %i.next = add i64 %i, 1
  br label %check
done:
  ret void
}

; ---- jobs -------------------------------------------------------------------------------------------------

; Lock the pool; returns how many workers may help. 0: the pool is busy, or empty; it is then not locked.
define internal i64 @acquire() {
entry:
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %alone = icmp sle i64 %threads, 1
  br i1 %alone, label %no, label %try
try:
  %pair = cmpxchg ptr @lock, i32 0, i32 1 seq_cst seq_cst
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %locked, label %no
locked:
  %usable = call i64 @hire()
  %none = icmp sle i64 %usable, 0
  br i1 %none, label %back, label %yes
back:
  store atomic i32 0, ptr @lock seq_cst, align 4
  ret i64 0
yes:
  ret i64 %usable
no:
  ret i64 0
}

; Run a job with up to %slots workers; the pool is locked, and unlocked at the end.
define internal i64 @share(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain, i64 %slots) {
entry:
  store ptr %kernel, ptr @job
  %operands.at = getelementptr %job, ptr @job, i64 0, i32 1
  store ptr %operands, ptr %operands.at
  %params.at = getelementptr %job, ptr @job, i64 0, i32 2
  store ptr %params, ptr %params.at
  %n.at = getelementptr %job, ptr @job, i64 0, i32 3
  store i64 %n, ptr %n.at
  %grain.at = getelementptr %job, ptr @job, i64 0, i32 4
  store i64 %grain, ptr %grain.at
  %crew = add i64 %slots, 1
  call void @divide(i64 %n, i64 %grain, i64 %crew)
  store atomic i64 0, ptr @status monotonic, align 8
  store atomic i32 0, ptr @caller_sleeps monotonic, align 4
  %open = shl i64 %slots, 32
  store atomic i64 %open, ptr @gate seq_cst, align 8
  %g = atomicrmw add ptr @generation, i32 1 seq_cst
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %rouse, label %work
rouse:
  call void @make_way()
  %count = trunc i64 %slots to i32
  call void @wake(ptr @generation, i32 %count)
  br label %work
work:
  call void @take_chunks(i64 0)
  %closed = atomicrmw and ptr @gate, i64 4294967295 seq_cst
  %limit = load atomic i64, ptr @spins monotonic, align 8
  br label %spin
spin:
  %i = phi i64 [ 0, %work ], [ %i.next, %again ]
  %now = load atomic i64, ptr @gate acquire, align 8
  %empty = icmp eq i64 %now, 0
  br i1 %empty, label %done, label %wait
wait:
  %tired = icmp uge i64 %i, %limit
  br i1 %tired, label %sleep, label %again
again:
  %i.next = add i64 %i, 1
  call void @PAUSE(PAUSE_ARGUMENT)
  br label %spin
sleep:
  store atomic i32 1, ptr @caller_sleeps seq_cst, align 4
  %still = load atomic i64, ptr @gate seq_cst, align 8
  %over = icmp eq i64 %still, 0
  br i1 %over, label %done, label %rest
rest:
  %inside = trunc i64 %still to i32 ; the low half of the gate, where a little-endian futex looks
  call void @sleep_while(ptr @gate, i32 %inside)
  br label %sleep
done:
  %bits = load atomic i64, ptr @status acquire, align 8
  store atomic i32 0, ptr @lock seq_cst, align 4
  ret i64 %bits
}

; kernel(operands, params, begin, end) over [0, n) in chunks of %grain; returns the OR of what they return.
define i64 @parallel_for(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain.given) {
entry:
  %grain = call i64 @llvm.smax.i64(i64 %grain.given, i64 1)
  %small = icmp sle i64 %n, %grain
  br i1 %small, label %alone, label %try
try:
  %usable = call i64 @acquire()
  %none = icmp eq i64 %usable, 0
  br i1 %none, label %alone, label %together
alone:
  %r0 = call i64 @serial(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain)
  ret i64 %r0
together:
  %n.less = sub i64 %n, 1
  %others = sdiv i64 %n.less, %grain ; chunks - 1
  %slots = call i64 @llvm.smin.i64(i64 %usable, i64 %others)
  %r1 = call i64 @share(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain, i64 %slots)
  ret i64 %r1
}

; ---- middling ranges --------------------------------------------------------------------------------------

; Whether middling ranges have come in such a stream that workers are worth waking: 16 of them, each within
; 50 us, which is as long as a worker spins. Two callers may count each other's; nothing depends on it.
define internal i1 @streaming() {
  %time = alloca [2 x i64], align 8
  %r = call i32 @clock_gettime(i32 1, ptr %time) ; CLOCK_MONOTONIC
  %seconds = load i64, ptr %time
  %part.at = getelementptr i64, ptr %time, i64 1
  %part = load i64, ptr %part.at
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %part
  %before = load atomic i64, ptr @last_middling monotonic, align 8
  store atomic i64 %now, ptr @last_middling monotonic, align 8
  %gap = sub i64 %now, %before
  %close = icmp ult i64 %gap, 50000
  %length = load atomic i64, ptr @stream monotonic, align 8
  %longer = add i64 %length, 1
  %count = select i1 %close, i64 %longer, i64 0
  store atomic i64 %count, ptr @stream monotonic, align 8
  %long = icmp uge i64 %count, 16
  ret i1 %long
}

; kernel(operands, params, begin, end) over [0, n), which is no longer than the grain.
define i64 @share_if_awake(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain) {
entry:
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %alone.anyway = icmp sle i64 %threads, 1
  br i1 %alone.anyway, label %alone, label %look
look:
  %others = sub i64 %threads, 1
  %have = load atomic i64, ptr @workers monotonic, align 8
  %hired = icmp sge i64 %have, %others
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %none = icmp eq i32 %asleep, 0
  %awake = and i1 %hired, %none
  br i1 %awake, label %together, label %ask
ask:
  %busy = call i1 @streaming()
  br i1 %busy, label %together, label %alone
together:
  %usable = call i64 @acquire()
  %nobody = icmp eq i64 %usable, 0
  br i1 %nobody, label %alone, label %cut
cut:
  ; A chunk is an eighth of the grain or more: below that, handing it over costs more than it brings.
  %eighth = lshr i64 %grain, 3
  %least = call i64 @llvm.smax.i64(i64 %eighth, i64 1)
  %parts = add i64 %usable, 1
  %parts.less = sub i64 %parts, 1
  %padded = add i64 %n, %parts.less
  %even = sdiv i64 %padded, %parts
  %chunk = call i64 @llvm.smax.i64(i64 %even, i64 %least)
  ; Long ranges count cells: chunks of whole lines of memory.
  %cells = icmp sgt i64 %chunk, 512
  %up = add i64 %chunk, 63
  %lines = and i64 %up, -64
  %length = select i1 %cells, i64 %lines, i64 %chunk
  %n.less = sub i64 %n, 1
  %more = sdiv i64 %n.less, %length
  %slots = call i64 @llvm.smin.i64(i64 %usable, i64 %more)
  %r1 = call i64 @share(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %length, i64 %slots)
  ret i64 %r1
alone:
  %r0 = call i64 %kernel(ptr %operands, ptr %params, i64 0, i64 %n)
  ret i64 %r0
}

; ---- OpenBLAS ---------------------------------------------------------------------------------------------

define internal i64 @blas_kernel(ptr %call, ptr %unused, i64 %begin, i64 %end) {
entry:
  %dojob = load ptr, ptr %call
  %data.at = getelementptr %blas_call, ptr %call, i64 0, i32 1
  %data = load ptr, ptr %data.at
  %size.at = getelementptr %blas_call, ptr %call, i64 0, i32 2
  %size = load i64, ptr %size.at
  %argument.at = getelementptr %blas_call, ptr %call, i64 0, i32 3
  %argument = load i64, ptr %argument.at
  %argument.32 = trunc i64 %argument to i32
  br label %check
check:
  %i = phi i64 [ %begin, %entry ], [ %i.next, %run ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %run, label %done
run:
  %offset = mul i64 %i, %size
  %element = getelementptr i8, ptr %data, i64 %offset
  %number = trunc i64 %i to i32
  call void %dojob(i32 %number, ptr %element, i32 %argument.32)
  %i.next = add i64 %i, 1
  br label %check
done:
  ret i64 0
}

define internal ptr @blas_thread(ptr %job) {
  %call = load ptr, ptr %job
  %number.at = getelementptr %blas_job, ptr %job, i64 0, i32 1
  %number = load i64, ptr %number.at
  %end = add i64 %number, 1
  %r = call i64 @blas_kernel(ptr %call, ptr null, i64 %number, i64 %end)
  ret ptr null
}

; Jobs 1, 2, ... on threads made for the occasion, job 0 here. Waits for as long as the system has no thread to give.
define internal void @blas_crew(ptr %call, i64 %count) {
entry:
  %jobs = alloca %blas_job, i64 %count
  %handles = alloca i64, i64 %count
  br label %check
check:
  %i = phi i64 [ 1, %entry ], [ %i.next, %started ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %start, label %own
start:
  %job = getelementptr %blas_job, ptr %jobs, i64 %i
  store ptr %call, ptr %job
  %number.at = getelementptr %blas_job, ptr %job, i64 0, i32 1
  store i64 %i, ptr %number.at
  %handle = getelementptr i64, ptr %handles, i64 %i
  %r = call i32 @spawn(ptr %handle, ptr @blas_thread, ptr %job)
  %ok = icmp eq i32 %r, 0
  br i1 %ok, label %started, label %later
later:
  %r1 = call i32 @usleep(i32 1000)
  br label %start
started:
  %i.next = add i64 %i, 1
  br label %check
own:
  %r2 = call i64 @blas_kernel(ptr %call, ptr null, i64 0, i64 1)
  br label %join.check
join.check:
  %j = phi i64 [ 1, %own ], [ %j.next, %join ]
  %left = icmp slt i64 %j, %count
  br i1 %left, label %join, label %done
join:
  %joined.at = getelementptr i64, ptr %handles, i64 %j
  %joined = load i64, ptr %joined.at
  %r3 = call i32 @pthread_join(i64 %joined, ptr null)
  %j.next = add i64 %j, 1
  br label %join.check
done:
  ret void
}

; OpenBLAS's threads callback. Its jobs wait for each other, so each needs a thread: the pool's when it is free
; and large enough, otherwise new ones. It never waits for the pool, whose jobs may be waiting for this very call.
define void @blas_callback(i32 %sync, ptr %dojob, i32 %count.32, i64 %size, ptr %data, i32 %argument) {
entry:
  %call = alloca %blas_call
  store ptr %dojob, ptr %call
  %data.at = getelementptr %blas_call, ptr %call, i64 0, i32 1
  store ptr %data, ptr %data.at
  %size.at = getelementptr %blas_call, ptr %call, i64 0, i32 2
  store i64 %size, ptr %size.at
  %argument.at = getelementptr %blas_call, ptr %call, i64 0, i32 3
  %argument.64 = sext i32 %argument to i64
  store i64 %argument.64, ptr %argument.at
  %count = sext i32 %count.32 to i64
  %others = sub i64 %count, 1
  %r0 = call i32 @pthread_mutex_lock(ptr @blas_turn)
  %usable = call i64 @acquire()
  %locked = icmp ne i64 %usable, 0
  %enough = icmp sge i64 %usable, %others
  %pool = and i1 %locked, %enough
  br i1 %pool, label %together, label %apart
together:
  %r1 = call i64 @share(ptr @blas_kernel, ptr %call, ptr null, i64 %count, i64 1, i64 %others)
  br label %done
apart:
  br i1 %locked, label %unlock, label %crew
unlock:
  store atomic i32 0, ptr @lock seq_cst, align 4
  br label %crew
crew:
  call void @blas_crew(ptr %call, i64 %count)
  br label %done
done:
  %r2 = call i32 @pthread_mutex_unlock(ptr @blas_turn)
  ret void
}

; ---- life -------------------------------------------------------------------------------------------------

; Set the number of threads (callers included), how long an idle one spins (counted in pauses), and the CPUs to choose
; from when workers shall keep away from their caller's CPU (a cpu_set_t of 128 bytes; null: they need not).
define void @configure(i64 %threads, i64 %spins, ptr %cpus) {
entry:
  store atomic i64 %threads, ptr @threads seq_cst, align 8
  store atomic i64 %spins, ptr @spins seq_cst, align 8
  %free = icmp eq ptr %cpus, null
  br i1 %free, label %done, label %steer
steer:
  call void @llvm.memcpy.p0.p0.i64(ptr @cpus, ptr %cpus, i64 128, i1 false)
  store i32 1, ptr @steer
  br label %done
done:
  ret void
}

; Have the workers now. Returns how many may help; 0 also while a job runs.
define i64 @start() {
entry:
  %usable = call i64 @acquire()
  %locked = icmp ne i64 %usable, 0
  br i1 %locked, label %unlock, label %done
unlock:
  store atomic i32 0, ptr @lock seq_cst, align 4
  br label %done
done:
  ret i64 %usable
}

define i64 @count_workers() {
  %have = load i64, ptr @workers
  ret i64 %have
}

; Send the workers home for good: later jobs run on their callers. Returns 0 when a job did not end within a second.
define i64 @stop() {
entry:
  br label %try
try:
  %i = phi i64 [ 0, %entry ], [ %i.next, %again ]
  %pair = cmpxchg ptr @lock, i32 0, i32 1 seq_cst seq_cst
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %tell, label %busy
busy:
  %patient = icmp ult i64 %i, 1000
  br i1 %patient, label %again, label %give.up
again:
  %i.next = add i64 %i, 1
  %r = call i32 @usleep(i32 1000)
  br label %try
give.up:
  ret i64 0
tell:
  store atomic i32 1, ptr @leave seq_cst, align 4
  %g = atomicrmw add ptr @generation, i32 1 seq_cst
  call void @wake(ptr @generation, i32 2147483647)
  br label %check
check:
  %have = load i64, ptr @workers
  %some = icmp sgt i64 %have, 0
  br i1 %some, label %join, label %done
join:
  %left = sub i64 %have, 1
  store i64 %left, ptr @workers
  %handle.at = getelementptr i64, ptr @handles, i64 %left
  %handle = load i64, ptr %handle.at
  %r1 = call i32 @pthread_join(i64 %handle, ptr null)
  br label %check
done:
  store atomic i32 0, ptr @lock seq_cst, align 4
  ret i64 1
}

; In a forked child: no worker exists, and nobody is left to open any lock.
define void @forget() {
  store atomic i64 0, ptr @gate seq_cst, align 8
  store atomic i32 0, ptr @sleepers seq_cst, align 4
  store i64 0, ptr @workers
  call void @llvm.memset.p0.i64(ptr @blas_turn, i8 0, i64 64, i1 false)
  store atomic i32 0, ptr @lock seq_cst, align 4
  ret void
}
