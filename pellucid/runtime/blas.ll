; Matrix products by OpenBLAS, one pair of kernels for each element type T (s, d, c, z):
;
;   C[b] = alpha op(A[b]) op(B[b]) + beta S[b]        operands C, A, B and, where beta is not zero, S (or C itself)
;
; The range counts tiles, product by product, in blocks of rows of tiles (word 31 says how many rows); in a block, column
; of tiles by column: the block's part of A stays in cache. Each tile is one call of OpenBLAS on one
; thread. A long k goes in parts: all tiles of a chunk with the first part, then all with the next one, so that what
; they read stays in cache. blas.py fills %plan and, below, T, SCALAR (how alpha and beta are passed), LOAD (from their
; place in the plan), ITEMSIZE, REAL and PARTS (an element's type, and how many it has).

%plan = type {
  ptr,      ;  0 cblas_Tgemm or cblas_Tgemv
  i64,      ;  1 transposition of A; of the matrix (gemv)
  i64,      ;  2 transposition of B
  i64,      ;  3 M
  i64,      ;  4 N
  i64,      ;  5 K
  i64,      ;  6 elements between rows of A; of the matrix (gemv)
  i64,      ;  7 elements between rows of B; between elements of the vector (gemv)
  i64,      ;  8 elements between rows of C
  i64,      ;  9 elements between elements of the result (gemv)
  i64,      ; 10 index of the matrix among the operands (gemv): 1 or 2
  i64,      ; 11 bytes from one C to the next one of the batch
  i64,      ; 12 the same for A, inside of a group of the batch
  i64,      ; 13 the same for B
  i64,      ; 14 rows of a tile
  i64,      ; 15 columns of a tile
  i64,      ; 16 tiles_m
  i64,      ; 17 tiles_n
  i64,      ; 18 bytes from a tile's rows of A to the next tile's
  i64,      ; 19 bytes from a tile's columns of B to the next tile's
  i64,      ; 20 S is operand 3: 1: C begins as S; 2: S is one row, and is added to the rows of the product; 0: no S
  i64,      ; 21 bytes from one S to the next one, inside of a group
  i64,      ; 22 bytes between rows of S; 0: one row for all
  i64,      ; 23 bytes between columns of S
  i64,      ; 24 products in a group of the batch
  i64,      ; 25 bytes from the first A of a group to the first one of the next
  i64,      ; 26 the same for B
  i64,      ; 27 the same for S
  i64,      ; 28 the most of K that one call of OpenBLAS takes; later calls add to C
  i64,      ; 29 bytes of A from one k to the next
  i64,      ; 30 the same for B
  i64,      ; 31 rows of tiles in a block
  [2 x i64], ; 32 alpha, as T
  [2 x i64], ; 33 beta, as T
  [2 x i64]  ; 34 one, as T
}

; One tile: addresses of its parts of C, A, B, S; its rows and columns.
%tile = type { ptr, ptr, ptr, ptr, i64, i64 }

declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal i64 @field(ptr %plan, i64 %number) alwaysinline {
  %at = getelementptr i64, ptr %plan, i64 %number
  %value = load i64, ptr %at
  ret i64 %value
}

; base of operand %number + group * (word %jumps of the plan) + member * (word %steps) + offset
define internal ptr @place(ptr %operands, ptr %plan, i64 %number, i64 %group, i64 %member, i64 %jumps, i64 %steps, i64 %offset) alwaysinline {
  %at = getelementptr ptr, ptr %operands, i64 %number
  %base = load ptr, ptr %at
  %jump.one = call i64 @field(ptr %plan, i64 %jumps)
  %jump = mul i64 %group, %jump.one
  %step.one = call i64 @field(ptr %plan, i64 %steps)
  %step = mul i64 %member, %step.one
  %moved = add i64 %jump, %step
  %bytes = add i64 %moved, %offset
  %address = getelementptr i8, ptr %base, i64 %bytes
  ret ptr %address
}

; Where tile %index lies; where %start, it is filled with its part of S.
define internal void @locate(ptr %tile, ptr %operands, ptr %plan, i64 %index, i64 %itemsize, i1 %start) alwaysinline {
entry:
  %tiles.m = call i64 @field(ptr %plan, i64 16)
  %tiles.n = call i64 @field(ptr %plan, i64 17)
  %per.product = mul i64 %tiles.m, %tiles.n
  %batch = udiv i64 %index, %per.product
  %place = urem i64 %index, %per.product
  %block.rows = call i64 @field(ptr %plan, i64 31)
  %per.block = mul i64 %block.rows, %tiles.n
  %block = udiv i64 %place, %per.block
  %rest = urem i64 %place, %per.block
  %block.top = mul i64 %block, %block.rows
  %below = sub i64 %tiles.m, %block.top
  %height = call i64 @llvm.smin.i64(i64 %block.rows, i64 %below)
  %j = udiv i64 %rest, %height
  %down = urem i64 %rest, %height
  %i = add i64 %block.top, %down
  %members = call i64 @field(ptr %plan, i64 24)
  %group = udiv i64 %batch, %members
  %member = urem i64 %batch, %members

  %rows = call i64 @field(ptr %plan, i64 14)
  %m.all = call i64 @field(ptr %plan, i64 3)
  %top = mul i64 %i, %rows
  %m.left = sub i64 %m.all, %top
  %m = call i64 @llvm.smin.i64(i64 %rows, i64 %m.left)
  %m.at = getelementptr %tile, ptr %tile, i64 0, i32 4
  store i64 %m, ptr %m.at
  %columns = call i64 @field(ptr %plan, i64 15)
  %n.all = call i64 @field(ptr %plan, i64 4)
  %left = mul i64 %j, %columns
  %n.left = sub i64 %n.all, %left
  %n = call i64 @llvm.smin.i64(i64 %columns, i64 %n.left)
  %n.at = getelementptr %tile, ptr %tile, i64 0, i32 5
  store i64 %n, ptr %n.at

  %ldc = call i64 @field(ptr %plan, i64 8)
  %c.row = mul i64 %top, %ldc
  %c.element = add i64 %c.row, %left
  %c.offset = mul i64 %c.element, %itemsize
  %c = call ptr @place(ptr %operands, ptr %plan, i64 0, i64 0, i64 %batch, i64 11, i64 11, i64 %c.offset)
  store ptr %c, ptr %tile
  %a.step = call i64 @field(ptr %plan, i64 18)
  %a.offset = mul i64 %i, %a.step
  %a = call ptr @place(ptr %operands, ptr %plan, i64 1, i64 %group, i64 %member, i64 25, i64 12, i64 %a.offset)
  %a.at = getelementptr %tile, ptr %tile, i64 0, i32 1
  store ptr %a, ptr %a.at
  %b.step = call i64 @field(ptr %plan, i64 19)
  %b.offset = mul i64 %j, %b.step
  %b = call ptr @place(ptr %operands, ptr %plan, i64 2, i64 %group, i64 %member, i64 26, i64 13, i64 %b.offset)
  %b.at = getelementptr %tile, ptr %tile, i64 0, i32 2
  store ptr %b, ptr %b.at

  %has.s = call i64 @field(ptr %plan, i64 20)
  %some.s = icmp ne i64 %has.s, 0
  br i1 %some.s, label %summand, label %done
summand:
  %s.row = call i64 @field(ptr %plan, i64 22)
  %s.column = call i64 @field(ptr %plan, i64 23)
  %s.down = mul i64 %top, %s.row
  %s.right = mul i64 %left, %s.column
  %s.offset = add i64 %s.down, %s.right
  %s = call ptr @place(ptr %operands, ptr %plan, i64 3, i64 %group, i64 %member, i64 27, i64 21, i64 %s.offset)
  %s.at = getelementptr %tile, ptr %tile, i64 0, i32 3
  store ptr %s, ptr %s.at
  %as.start = icmp eq i64 %has.s, 1
  %fill = and i1 %as.start, %start
  br i1 %fill, label %copy, label %done
copy:
  call void @copy_summand(ptr %tile, ptr %plan, i64 %s.row, i64 %s.column, i64 %ldc, i64 %itemsize)
  br label %done
done:
  ret void
}

; The tile of C becomes the tile of S, which the product is then added to.
define internal void @copy_summand(ptr %tile, ptr %plan, i64 %s.row, i64 %s.column, i64 %ldc, i64 %itemsize) alwaysinline {
entry:
  %c = load ptr, ptr %tile
  %s.at = getelementptr %tile, ptr %tile, i64 0, i32 3
  %s = load ptr, ptr %s.at
  %m.at = getelementptr %tile, ptr %tile, i64 0, i32 4
  %m = load i64, ptr %m.at
  %n.at = getelementptr %tile, ptr %tile, i64 0, i32 5
  %n = load i64, ptr %n.at
  %c.row = mul i64 %ldc, %itemsize
  %bytes = mul i64 %n, %itemsize
  %dense = icmp eq i64 %s.column, %itemsize
  br label %rows
rows:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %more = icmp slt i64 %i, %m
  br i1 %more, label %row, label %done
row:
  %c.jump = mul i64 %i, %c.row
  %to = getelementptr i8, ptr %c, i64 %c.jump
  %s.jump = mul i64 %i, %s.row
  %from = getelementptr i8, ptr %s, i64 %s.jump
  br i1 %dense, label %whole, label %elements
whole:
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %bytes, i1 false)
  br label %next
elements:
  %j = phi i64 [ 0, %row ], [ %j.next, %element ]
  %left = icmp slt i64 %j, %n
  br i1 %left, label %element, label %next
element:
  %c.step = mul i64 %j, %itemsize
  %c.element = getelementptr i8, ptr %to, i64 %c.step
  %s.step = mul i64 %j, %s.column
  %s.element = getelementptr i8, ptr %from, i64 %s.step
  call void @llvm.memcpy.p0.p0.i64(ptr %c.element, ptr %s.element, i64 %itemsize, i1 false)
  %j.next = add i64 %j, 1
  br label %elements
next:
  %i.next = add i64 %i, 1
  br label %rows
done:
  ret void
}

;; for each T

define i64 @Tgemm(ptr %operands, ptr %plan, i64 %begin, i64 %end) {
entry:
  %tile = alloca %tile
  %function = load ptr, ptr %plan
  %ta.64 = call i64 @field(ptr %plan, i64 1)
  %ta = trunc i64 %ta.64 to i32
  %tb.64 = call i64 @field(ptr %plan, i64 2)
  %tb = trunc i64 %tb.64 to i32
  %k.all = call i64 @field(ptr %plan, i64 5)
  %k.most = call i64 @field(ptr %plan, i64 28)
  %a.per.k = call i64 @field(ptr %plan, i64 29)
  %b.per.k = call i64 @field(ptr %plan, i64 30)
  %one.at = getelementptr %plan, ptr %plan, i64 0, i32 34
  %one = LOAD ptr %one.at
  %lda.64 = call i64 @field(ptr %plan, i64 6)
  %lda = trunc i64 %lda.64 to i32
  %ldb.64 = call i64 @field(ptr %plan, i64 7)
  %ldb = trunc i64 %ldb.64 to i32
  %ldc.64 = call i64 @field(ptr %plan, i64 8)
  %ldc = trunc i64 %ldc.64 to i32
  %alpha.at = getelementptr %plan, ptr %plan, i64 0, i32 32
  %alpha = LOAD ptr %alpha.at
  %beta.at = getelementptr %plan, ptr %plan, i64 0, i32 33
  %beta = LOAD ptr %beta.at
  %summand.kind = call i64 @field(ptr %plan, i64 20)
  %adds.row = icmp eq i64 %summand.kind, 2
  br label %part
part:
  %k.done = phi i64 [ 0, %entry ], [ %k.now, %next.part ]
  %scale = phi SCALAR [ %beta, %entry ], [ %one, %next.part ]
  %first = icmp eq i64 %k.done, 0
  %k.left = sub i64 %k.all, %k.done
  %k.64 = call i64 @llvm.smin.i64(i64 %k.left, i64 %k.most)
  %k = trunc i64 %k.64 to i32
  %a.jump = mul i64 %k.done, %a.per.k
  %b.jump = mul i64 %k.done, %b.per.k
  br label %check
check:
  %index = phi i64 [ %begin, %part ], [ %index.next, %run.end ]
  %more = icmp slt i64 %index, %end
  br i1 %more, label %run, label %next.part
run:
  call void @locate(ptr %tile, ptr %operands, ptr %plan, i64 %index, i64 ITEMSIZE, i1 %first)
  %c = load ptr, ptr %tile
  %a.at = getelementptr %tile, ptr %tile, i64 0, i32 1
  %a.first = load ptr, ptr %a.at
  %a = getelementptr i8, ptr %a.first, i64 %a.jump
  %b.at = getelementptr %tile, ptr %tile, i64 0, i32 2
  %b.first = load ptr, ptr %b.at
  %b = getelementptr i8, ptr %b.first, i64 %b.jump
  %m.at = getelementptr %tile, ptr %tile, i64 0, i32 4
  %m.64 = load i64, ptr %m.at
  %m = trunc i64 %m.64 to i32
  %n.at = getelementptr %tile, ptr %tile, i64 0, i32 5
  %n.64 = load i64, ptr %n.at
  %n = trunc i64 %n.64 to i32
  call void %function(i32 101, i32 %ta, i32 %tb, i32 %m, i32 %n, i32 %k, SCALAR %alpha, ptr %a, i32 %lda, ptr %b, i32 %ldb, SCALAR %scale, ptr %c, i32 %ldc)
  %now.done = add i64 %k.done, %k.64
  %last.part = icmp sge i64 %now.done, %k.all
  %finish = and i1 %last.part, %adds.row
  br i1 %finish, label %add, label %run.end
add:
  call void @Tadd_row(ptr %tile, i64 %ldc.64)
  br label %run.end
run.end:
  %index.next = add i64 %index, 1
  br label %check
next.part:
  %k.now = add i64 %k.done, %k.64
  %unfinished = icmp slt i64 %k.now, %k.all
  br i1 %unfinished, label %part, label %done
done:
  ret i64 0
}

; The row S is added to every row of a tile.
define internal void @Tadd_row(ptr %tile, i64 %ldc) noinline {
entry:
  %c = load ptr, ptr %tile
  %s.at = getelementptr %tile, ptr %tile, i64 0, i32 3
  %s = load ptr, ptr %s.at
  %m.at = getelementptr %tile, ptr %tile, i64 0, i32 4
  %m = load i64, ptr %m.at
  %n.at = getelementptr %tile, ptr %tile, i64 0, i32 5
  %n = load i64, ptr %n.at
  %row.reals = mul i64 %ldc, PARTS
  %reals = mul i64 %n, PARTS
  br label %rows
rows:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %more = icmp slt i64 %i, %m
  br i1 %more, label %row, label %done
row:
  %jump = mul i64 %i, %row.reals
  %to = getelementptr REAL, ptr %c, i64 %jump
  br label %reals.loop
reals.loop:
  %j = phi i64 [ 0, %row ], [ %j.next, %reals.loop ]
  %to.at = getelementptr REAL, ptr %to, i64 %j
  %from.at = getelementptr REAL, ptr %s, i64 %j
  %old = load REAL, ptr %to.at
  %added = load REAL, ptr %from.at
  %sum = fadd REAL %old, %added
  store REAL %sum, ptr %to.at
  %j.next = add nuw nsw i64 %j, 1
  %left = icmp ult i64 %j.next, %reals
  br i1 %left, label %reals.loop, label %next
next:
  %i.next = add i64 %i, 1
  br label %rows
done:
  ret void
}

; M or N is 1: the other operand is a vector. A tile has one row or one column.
define i64 @Tgemv(ptr %operands, ptr %plan, i64 %begin, i64 %end) {
entry:
  %tile = alloca %tile
  %function = load ptr, ptr %plan
  %trans.64 = call i64 @field(ptr %plan, i64 1)
  %trans = trunc i64 %trans.64 to i32
  %straight = icmp eq i32 %trans, 111
  %k.64 = call i64 @field(ptr %plan, i64 5)
  %k = trunc i64 %k.64 to i32
  %ld.64 = call i64 @field(ptr %plan, i64 6)
  %ld = trunc i64 %ld.64 to i32
  %x.step.64 = call i64 @field(ptr %plan, i64 7)
  %x.step = trunc i64 %x.step.64 to i32
  %y.step.64 = call i64 @field(ptr %plan, i64 9)
  %y.step = trunc i64 %y.step.64 to i32
  %which = call i64 @field(ptr %plan, i64 10)
  %first = icmp eq i64 %which, 1
  %alpha.at = getelementptr %plan, ptr %plan, i64 0, i32 32
  %alpha = LOAD ptr %alpha.at
  %beta.at = getelementptr %plan, ptr %plan, i64 0, i32 33
  %beta = LOAD ptr %beta.at
  br label %check
check:
  %index = phi i64 [ %begin, %entry ], [ %index.next, %run ]
  %more = icmp slt i64 %index, %end
  br i1 %more, label %run, label %done
run:
  call void @locate(ptr %tile, ptr %operands, ptr %plan, i64 %index, i64 ITEMSIZE, i1 true)
  %y = load ptr, ptr %tile
  %a.at = getelementptr %tile, ptr %tile, i64 0, i32 1
  %a = load ptr, ptr %a.at
  %b.at = getelementptr %tile, ptr %tile, i64 0, i32 2
  %b = load ptr, ptr %b.at
  %matrix = select i1 %first, ptr %a, ptr %b
  %x = select i1 %first, ptr %b, ptr %a
  %m.at = getelementptr %tile, ptr %tile, i64 0, i32 4
  %m = load i64, ptr %m.at
  %n.at = getelementptr %tile, ptr %tile, i64 0, i32 5
  %n = load i64, ptr %n.at
  %length.64 = mul i64 %m, %n
  %length = trunc i64 %length.64 to i32
  %rows = select i1 %straight, i32 %length, i32 %k
  %columns = select i1 %straight, i32 %k, i32 %length
  call void %function(i32 101, i32 %trans, i32 %rows, i32 %columns, SCALAR %alpha, ptr %matrix, i32 %ld, ptr %x, i32 %x.step, SCALAR %beta, ptr %y, i32 %y.step)
  %index.next = add i64 %index, 1
  br label %check
done:
  ret i64 0
}
