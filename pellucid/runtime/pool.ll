; The memory pool: where the bytes of every tensor come from.
;
; A freed block is kept and given to the next request of its size class, because fresh memory is slow: the
; kernel of the operating system has to find, clear and map every page at its first touch. All functions
; here run under the interpreter's lock, so they take no locks of their own.
;
; Size classes. A size is counted in units, u = ceil(bytes / unit), and rounded up to one of four steps
; between two powers of two: 1 2 3 4 | 5 6 7 8 | 10 12 14 16 | 20 24 28 32 | ...  At most a quarter is added.
; With m = u - 1 and shift = max(floor(log2 m) - 2, 0):
;     class = 4 shift + (m >> shift)         units = ((m >> shift) + 1) << shift
; There are two families of classes:
;     small   classes  0..51    unit 64 B     up to 1 MiB    cut from arenas of 32 MiB
;     large   classes 52..147   unit 2 MiB    up to 64 TiB   a mapping of their own
; Everything is aligned to 64 bytes (a cache line, the widest vector), large blocks to 2 MiB (a huge page).
;
; A free block stores the address of the next free block of its class in its first eight bytes.
;
; A miss looks into the next classes (three for small, one for large blocks) before it asks for new memory;
; the block keeps its class. So blocks of a class are made only while all of them and of the classes above
; are in use, and a loop that repeats the same requests stops reserving memory.

declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare i64 @llvm.ctlz.i64(i64, i1 immarg)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)

; ---------------------------------------------------------------- state, read by pellucid.runtime.memory
@in_use       = global i64 0  ; bytes that live tensors asked for
@peak         = global i64 0  ; the most that in_use ever was (since reset_peak)
@in_blocks    = global i64 0  ; the same bytes rounded up to their size classes
@reserved     = global i64 0  ; bytes mapped from the operating system; cached = reserved - in_blocks
@allocations  = global i64 0  ; blocks handed out since the start
@frees        = global i64 0  ; blocks that came back
@slack        = global i64 268435456            ; see @trim
@memory_limit = global i64 9223372036854775807  ; three quarters of the machine's memory, set at the start

@free_lists = internal global [148 x ptr] zeroinitializer  ; the first free block of each class
@trimmed    = internal global [148 x i64] zeroinitializer  ; blocks of each class that @trim gave back

; An arena begins with a header of 64 bytes.
%Arena = type { ptr, i64 }  ; the next arena; bytes found free (used by @release_arenas alone)
@arenas     = internal global ptr null
@bump       = internal global i64 0  ; small blocks are cut from the open arena, from here
@bump_end   = internal global i64 0  ; up to its end

; ---------------------------------------------------------------- size classes
; (class, bytes of its blocks) for a request of 0 .. 2^46 bytes.
define internal { i64, i64 } @size_class(i64 %bytes) alwaysinline nounwind {
  %asked = call i64 @llvm.umax.i64(i64 %bytes, i64 1)
  %small = icmp ule i64 %asked, 1048576
  %unit_log2 = select i1 %small, i64 6, i64 21
  %family = select i1 %small, i64 0, i64 52
  %last_byte = sub i64 %asked, 1
  %m = lshr i64 %last_byte, %unit_log2
  %m_or_4 = or i64 %m, 4
  %zeros = call i64 @llvm.ctlz.i64(i64 %m_or_4, i1 true)
  %shift = sub i64 61, %zeros
  %step = lshr i64 %m, %shift
  %four_shift = shl i64 %shift, 2
  %index = add i64 %four_shift, %step
  %class = add i64 %index, %family
  %step_up = add i64 %step, 1
  %units = shl i64 %step_up, %shift
  %size = shl i64 %units, %unit_log2
  %pair = insertvalue { i64, i64 } poison, i64 %class, 0
  %both = insertvalue { i64, i64 } %pair, i64 %size, 1
  ret { i64, i64 } %both
}

; Bytes of the blocks of a class: the inverse of the above.
define internal i64 @class_size(i64 %class) alwaysinline nounwind {
  %small = icmp ult i64 %class, 52
  %unit_log2 = select i1 %small, i64 6, i64 21
  %family = select i1 %small, i64 0, i64 52
  %index = sub i64 %class, %family
  %at_least_4 = call i64 @llvm.umax.i64(i64 %index, i64 4)
  %above_4 = sub i64 %at_least_4, 4
  %shift = lshr i64 %above_4, 2
  %four_shift = shl i64 %shift, 2
  %step = sub i64 %index, %four_shift
  %step_up = add i64 %step, 1
  %units = shl i64 %step_up, %shift
  %size = shl i64 %units, %unit_log2
  ret i64 %size
}

; ---------------------------------------------------------------- take and give: the paths of every tensor
; A block and its class, which may be above the one asked for; null when the machine has no memory left.
define internal { ptr, i64 } @pool_take(i64 %class) alwaysinline nounwind {
  %list = getelementptr ptr, ptr @free_lists, i64 %class
  %block = load ptr, ptr %list
  %found = icmp ne ptr %block, null
  br i1 %found, label %hit, label %miss, !prof !0
hit:
  %next = load ptr, ptr %block
  store ptr %next, ptr %list
  %pair = insertvalue { ptr, i64 } poison, ptr %block, 0
  %both = insertvalue { ptr, i64 } %pair, i64 %class, 1
  ret { ptr, i64 } %both
miss:
  %other = call { ptr, i64 } @pool_miss(i64 %class)
  ret { ptr, i64 } %other
}

define internal void @pool_give(ptr %block, i64 %class) alwaysinline nounwind {
  %list = getelementptr ptr, ptr @free_lists, i64 %class
  %next = load ptr, ptr %list
  store ptr %next, ptr %block
  store ptr %block, ptr %list
  ret void
}

; ---------------------------------------------------------------- a miss
define internal { ptr, i64 } @pool_miss(i64 %class) noinline cold nounwind {
entry:
  %small = icmp ult i64 %class, 52
  %reach = select i1 %small, i64 3, i64 1
  %family_end = select i1 %small, i64 51, i64 147
  %far = add i64 %class, %reach
  %last = call i64 @llvm.umin.i64(i64 %far, i64 %family_end)
  br label %look
look:
  %before = phi i64 [ %class, %entry ], [ %candidate, %next ]
  %candidate = add i64 %before, 1
  %inside = icmp ule i64 %candidate, %last
  br i1 %inside, label %next, label %fresh
next:
  %list = getelementptr ptr, ptr @free_lists, i64 %candidate
  %block = load ptr, ptr %list
  %found = icmp ne ptr %block, null
  br i1 %found, label %borrow, label %look
borrow:
  %rest = load ptr, ptr %block
  store ptr %rest, ptr %list
  br label %done
fresh:
  br i1 %small, label %cut, label %map
cut:
  %piece = call ptr @cut_from_arena(i64 %class)
  br label %done
map:
  %mapping = call ptr @map_large(i64 %class)
  br label %done
done:
  %result = phi ptr [ %block, %borrow ], [ %piece, %cut ], [ %mapping, %map ]
  %its_class = phi i64 [ %candidate, %borrow ], [ %class, %cut ], [ %class, %map ]
  %pair = insertvalue { ptr, i64 } poison, ptr %result, 0
  %both = insertvalue { ptr, i64 } %pair, i64 %its_class, 1
  ret { ptr, i64 } %both
}

; A small block from the open arena, or from a new one; null without memory.
define internal ptr @cut_from_arena(i64 %class) nounwind {
entry:
  %size = call i64 @class_size(i64 %class)
  %end = load i64, ptr @bump_end
  %start = load i64, ptr @bump
  %left = sub i64 %end, %start
  %fits = icmp uge i64 %left, %size
  br i1 %fits, label %cut, label %new
new:
  %arena = call ptr @map_aligned(i64 33554432, i64 33554432)
  %failed = icmp eq ptr %arena, null
  br i1 %failed, label %fail, label %open
open:
  call void @recycle_rest()
  %next = load ptr, ptr @arenas
  store ptr %next, ptr %arena
  store ptr %arena, ptr @arenas
  %arena_at = ptrtoint ptr %arena to i64
  %first = add i64 %arena_at, 64
  %arena_end = add i64 %arena_at, 33554432
  store i64 %arena_end, ptr @bump_end
  br label %cut
cut:
  %at = phi i64 [ %start, %entry ], [ %first, %open ]
  %after = add i64 %at, %size
  store i64 %after, ptr @bump
  %block = inttoptr i64 %at to ptr
  ret ptr %block
fail:
  ret ptr null
}

; Put what is left of the open arena on the free lists, as the largest blocks that fit.
define internal void @recycle_rest() nounwind {
entry:
  br label %loop
loop:
  %class = phi i64 [ 51, %entry ], [ %class, %fits ], [ %below, %lower ]
  %size = call i64 @class_size(i64 %class)
  %at = load i64, ptr @bump
  %end = load i64, ptr @bump_end
  %left = sub i64 %end, %at
  %enough = icmp uge i64 %left, %size
  br i1 %enough, label %fits, label %lower
fits:
  %after = add i64 %at, %size
  store i64 %after, ptr @bump
  %block = inttoptr i64 %at to ptr
  call void @pool_give(ptr %block, i64 %class)
  br label %loop
lower:
  %below = sub i64 %class, 1
  %more = icmp sge i64 %below, 0
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal ptr @map_large(i64 %class) nounwind {
  %size = call i64 @class_size(i64 %class)
  call void @trim(i64 %class, i64 %size)
  %block = call ptr @map_aligned(i64 %size, i64 2097152)
  ret ptr %block
}

; ---------------------------------------------------------------- the operating system
; New memory at a multiple of `align`, on huge pages where there are any. Without memory: give all cached
; large blocks back and try once more; then null.
define internal ptr @map_aligned(i64 %bytes, i64 %align) nounwind {
entry:
  %asked = add i64 %bytes, %align
  ; PROT_READ | PROT_WRITE = 3, MAP_PRIVATE | MAP_ANONYMOUS = 0x22
  %first = call ptr @mmap(ptr null, i64 %asked, i32 3, i32 34, i32 -1, i64 0)
  %first_at = ptrtoint ptr %first to i64
  %full = icmp eq i64 %first_at, -1
  br i1 %full, label %again, label %align_it
again:
  call void @unmap_cached(i64 0, i64 0)
  %second = call ptr @mmap(ptr null, i64 %asked, i32 3, i32 34, i32 -1, i64 0)
  %second_at = ptrtoint ptr %second to i64
  %still_full = icmp eq i64 %second_at, -1
  br i1 %still_full, label %fail, label %align_it
align_it:
  %raw = phi i64 [ %first_at, %entry ], [ %second_at, %again ]
  %align_less_1 = sub i64 %align, 1
  %round_up = add i64 %raw, %align_less_1
  %mask = xor i64 %align_less_1, -1
  %at = and i64 %round_up, %mask
  %block = inttoptr i64 %at to ptr
  call void @unmap(i64 %raw, i64 %at)
  %block_end = add i64 %at, %bytes
  %raw_end = add i64 %raw, %asked
  call void @unmap(i64 %block_end, i64 %raw_end)
  %advised = call i32 @madvise(ptr %block, i64 %bytes, i32 14)  ; MADV_HUGEPAGE; a machine without them refuses
  %reserved = load i64, ptr @reserved
  %more = add i64 %reserved, %bytes
  store i64 %more, ptr @reserved
  ret ptr %block
fail:
  ret ptr null
}

define internal void @unmap(i64 %from, i64 %to) nounwind {
  %bytes = sub i64 %to, %from
  %any = icmp ne i64 %bytes, 0
  br i1 %any, label %give, label %done
give:
  %start = inttoptr i64 %from to ptr
  %status = call i32 @munmap(ptr %start, i64 %bytes)
  br label %done
done:
  ret void
}

; Keep the cache bounded before a large block of `size` bytes is mapped:
;     reserved + size <= min(2 peak + slack, three quarters of the machine's memory)
; or else cached large blocks go back to the operating system, the largest first. A block that was given back
; and is wanted again shows that the bound was too tight: slack grows by its size. So a loop that needs more
; than the bound soon keeps what it needs, and its reserved memory comes to rest.
define internal void @trim(i64 %class, i64 %size) nounwind {
entry:
  %trimmed_at = getelementptr i64, ptr @trimmed, i64 %class
  %trimmed = load i64, ptr %trimmed_at
  %regret = icmp ne i64 %trimmed, 0
  %slack = load i64, ptr @slack
  br i1 %regret, label %widen, label %bound
widen:
  %fewer = sub i64 %trimmed, 1
  store i64 %fewer, ptr %trimmed_at
  %wider = add i64 %slack, %size
  store i64 %wider, ptr @slack
  br label %bound
bound:
  %allowed = phi i64 [ %slack, %entry ], [ %wider, %widen ]
  %in_use = load i64, ptr @in_use
  %with_this = add i64 %in_use, %size
  %old_peak = load i64, ptr @peak
  %peak = call i64 @llvm.umax.i64(i64 %old_peak, i64 %with_this)
  %twice = shl i64 %peak, 1
  %wanted = add i64 %twice, %allowed
  %most = load i64, ptr @memory_limit
  %limit = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  %room = sub i64 %limit, %size
  call void @unmap_cached(i64 %room, i64 1)
  ret void
}

; Give cached large blocks back, the largest first, until at most `limit` bytes are reserved; add `remember`
; to the count of trimmed blocks for each.
define internal void @unmap_cached(i64 %limit, i64 %remember) nounwind {
entry:
  br label %loop
loop:
  %class = phi i64 [ 147, %entry ], [ %class, %give ], [ %below, %lower ]
  %reserved = load i64, ptr @reserved
  %over = icmp sgt i64 %reserved, %limit
  br i1 %over, label %look, label %done
look:
  %list = getelementptr ptr, ptr @free_lists, i64 %class
  %block = load ptr, ptr %list
  %any = icmp ne ptr %block, null
  br i1 %any, label %give, label %lower
give:
  %next = load ptr, ptr %block
  store ptr %next, ptr %list
  %size = call i64 @class_size(i64 %class)
  %status = call i32 @munmap(ptr %block, i64 %size)
  %less = sub i64 %reserved, %size
  store i64 %less, ptr @reserved
  %trimmed_at = getelementptr i64, ptr @trimmed, i64 %class
  %trimmed = load i64, ptr %trimmed_at
  %more = add i64 %trimmed, %remember
  store i64 %more, ptr %trimmed_at
  br label %loop
lower:
  %below = sub i64 %class, 1
  %large = icmp sge i64 %below, 52
  br i1 %large, label %loop, label %done
done:
  ret void
}

; Give every cached block back: all free large blocks, and all arenas without a block in use. Called from
; Python; returns the number of bytes that went back.
define i64 @empty_cache() nounwind {
  %before = load i64, ptr @reserved
  call void @unmap_cached(i64 0, i64 0)
  call void @release_arenas()
  %after = load i64, ptr @reserved
  %freed = sub i64 %before, %after
  ret i64 %freed
}

; ---------------------------------------------------------------- giving arenas back
; Free bytes are counted per arena: the free blocks of all small classes and the uncut rest. An arena that is
; free but for its header loses its blocks on the free lists, and is unmapped.
define internal void @release_arenas() nounwind {
entry:
  %first = load ptr, ptr @arenas
  br label %clear
clear:
  %to_clear = phi ptr [ %first, %entry ], [ %after_clear, %clear_one ]
  %cleared = icmp eq ptr %to_clear, null
  br i1 %cleared, label %count_free, label %clear_one
clear_one:
  %count_at = getelementptr %Arena, ptr %to_clear, i32 0, i32 1
  store i64 0, ptr %count_at
  %after_clear = load ptr, ptr %to_clear
  br label %clear
count_free:
  call void @count_rest()
  call void @visit_free_blocks(i1 false)
  call void @visit_free_blocks(i1 true)
  br label %walk
walk:
  %link = phi ptr [ @arenas, %count_free ], [ %link, %unlink ], [ %arena, %keep ]
  %arena = load ptr, ptr %link
  %end = icmp eq ptr %arena, null
  br i1 %end, label %done, label %judge
judge:
  %empty = call i1 @arena_is_free(ptr %arena)
  br i1 %empty, label %drop, label %keep
keep:
  br label %walk
drop:
  %arena_at = ptrtoint ptr %arena to i64
  %arena_end = add i64 %arena_at, 33554432
  %open_end = load i64, ptr @bump_end
  %is_open = icmp eq i64 %arena_end, %open_end
  br i1 %is_open, label %close, label %unlink
close:
  store i64 0, ptr @bump
  store i64 0, ptr @bump_end
  br label %unlink
unlink:
  %next = load ptr, ptr %arena
  store ptr %next, ptr %link
  %status = call i32 @munmap(ptr %arena, i64 33554432)
  %reserved = load i64, ptr @reserved
  %less = sub i64 %reserved, 33554432
  store i64 %less, ptr @reserved
  br label %walk
done:
  ret void
}

define internal void @count_rest() nounwind {
  %start = load i64, ptr @bump
  %end = load i64, ptr @bump_end
  %rest = sub i64 %end, %start
  %any = icmp ne i64 %rest, 0
  br i1 %any, label %count, label %done
count:
  %arena_at = and i64 %start, -33554432
  %arena = inttoptr i64 %arena_at to ptr
  %count_at = getelementptr %Arena, ptr %arena, i32 0, i32 1
  store i64 %rest, ptr %count_at
  br label %done
done:
  ret void
}

define internal i1 @arena_is_free(ptr %arena) nounwind {
  %count_at = getelementptr %Arena, ptr %arena, i32 0, i32 1
  %count = load i64, ptr %count_at
  %free = icmp eq i64 %count, 33554368  ; 32 MiB less the header
  ret i1 %free
}

; Over all free small blocks: add their bytes to their arena's count, or drop those of free arenas.
define internal void @visit_free_blocks(i1 %drop_them) nounwind {
entry:
  br label %classes
classes:
  %class = phi i64 [ 0, %entry ], [ %next_class, %class_done ]
  %list = getelementptr ptr, ptr @free_lists, i64 %class
  %size = call i64 @class_size(i64 %class)
  br label %blocks
blocks:
  %link = phi ptr [ %list, %classes ], [ %link, %drop ], [ %block, %count ], [ %block, %keep ]
  %block = load ptr, ptr %link
  %end = icmp eq ptr %block, null
  br i1 %end, label %class_done, label %visit
visit:
  %at = ptrtoint ptr %block to i64
  %arena_at = and i64 %at, -33554432
  %arena = inttoptr i64 %arena_at to ptr
  br i1 %drop_them, label %judge, label %count
count:
  %count_at = getelementptr %Arena, ptr %arena, i32 0, i32 1
  %counted = load i64, ptr %count_at
  %more = add i64 %counted, %size
  store i64 %more, ptr %count_at
  br label %blocks
judge:
  %free = call i1 @arena_is_free(ptr %arena)
  br i1 %free, label %drop, label %keep
keep:
  br label %blocks
drop:
  %next = load ptr, ptr %block
  store ptr %next, ptr %link
  br label %blocks
class_done:
  %next_class = add i64 %class, 1
  %more_classes = icmp ult i64 %next_class, 52
  br i1 %more_classes, label %classes, label %done
done:
  ret void
}
