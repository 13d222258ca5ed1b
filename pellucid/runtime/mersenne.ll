; The random engine mt19937 (M. Matsumoto & T. Nishimura, ACM TOMACS 8, 1998): 624 words, and the number of those that
; have been used (word 624). Loops are plain; LLVM vectorises them.

declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.fshl.i64(i64, i64, i64)

define void @seed(ptr %state, i32 %value) {
entry:
  store i32 %value, ptr %state
  br label %loop
loop:
  %i = phi i32 [ 1, %entry ], [ %i.next, %loop ]
  %before = phi i32 [ %value, %entry ], [ %word, %loop ]
  %high = lshr i32 %before, 30
  %mixed = xor i32 %before, %high
  %scaled = mul i32 %mixed, 1812433253
  %word = add i32 %scaled, %i
  %at = getelementptr i32, ptr %state, i32 %i
  store i32 %word, ptr %at
  %i.next = add i32 %i, 1
  %more = icmp ult i32 %i.next, 624
  br i1 %more, label %loop, label %done
done:
  %used = getelementptr i32, ptr %state, i32 624
  store i32 624, ptr %used
  ret void
}

; word[i] for i in [begin, end): that of i + offset, mixed with the highest bit of word i and the others of word i + 1.
define internal void @renew(ptr %state, i64 %begin, i64 %end, i64 %offset) alwaysinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %at = getelementptr i32, ptr %state, i64 %i
  %word = load i32, ptr %at
  %next = add nuw nsw i64 %i, 1
  %next.at = getelementptr i32, ptr %state, i64 %next
  %following = load i32, ptr %next.at
  %far = add nsw i64 %i, %offset
  %far.at = getelementptr i32, ptr %state, i64 %far
  %other = load i32, ptr %far.at
  %new = call i32 @mixed(i32 %word, i32 %following, i32 %other)
  store i32 %new, ptr %at
  %more = icmp ult i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal i32 @mixed(i32 %word, i32 %following, i32 %other) alwaysinline {
  %high = and i32 %word, -2147483648
  %low = and i32 %following, 2147483647
  %y = or i32 %high, %low
  %half = lshr i32 %y, 1
  %odd = and i32 %y, 1
  %mask = sub i32 0, %odd
  %magic = and i32 %mask, -1727483681
  %twisted = xor i32 %half, %magic
  %new = xor i32 %twisted, %other
  ret i32 %new
}

define internal void @twist(ptr %state) noinline {
  call void @renew(ptr %state, i64 0, i64 227, i64 397)
  call void @renew(ptr %state, i64 227, i64 623, i64 -227)
  %last.at = getelementptr i32, ptr %state, i64 623
  %last = load i32, ptr %last.at
  %first = load i32, ptr %state
  %other.at = getelementptr i32, ptr %state, i64 396
  %other = load i32, ptr %other.at
  %new = call i32 @mixed(i32 %last, i32 %first, i32 %other)
  store i32 %new, ptr %last.at
  ret void
}

; The next %n words of the stream.
define internal void @words(ptr %state, ptr noalias %out, i64 %n) {
entry:
  %used.at = getelementptr i32, ptr %state, i64 624
  br label %next
next:
  %done.words = phi i64 [ 0, %entry ], [ %after, %copied ]
  %left = sub i64 %n, %done.words
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %look, label %end
look:
  %used.32 = load i32, ptr %used.at
  %empty = icmp eq i32 %used.32, 624
  br i1 %empty, label %renew, label %take
renew:
  call void @twist(ptr %state)
  br label %take
take:
  %first.32 = phi i32 [ %used.32, %look ], [ 0, %renew ]
  %first = zext i32 %first.32 to i64
  %have = sub i64 624, %first
  %count = call i64 @llvm.smin.i64(i64 %have, i64 %left)
  %from = getelementptr i32, ptr %state, i64 %first
  %to = getelementptr i32, ptr %out, i64 %done.words
  br label %temper
temper:
  %i = phi i64 [ 0, %take ], [ %i.next, %temper ]
  %at = getelementptr i32, ptr %from, i64 %i
  %y = load i32, ptr %at
  %a = lshr i32 %y, 11
  %y1 = xor i32 %y, %a
  %b = shl i32 %y1, 7
  %b.and = and i32 %b, -1658038656
  %y2 = xor i32 %y1, %b.and
  %c = shl i32 %y2, 15
  %c.and = and i32 %c, -272236544
  %y3 = xor i32 %y2, %c.and
  %d = lshr i32 %y3, 18
  %y4 = xor i32 %y3, %d
  %to.at = getelementptr i32, ptr %to, i64 %i
  store i32 %y4, ptr %to.at
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %temper, label %copied
copied:
  %after = add i64 %done.words, %count
  %used.now = add i64 %first, %count
  %used.now.32 = trunc i64 %used.now to i32
  store i32 %used.now.32, ptr %used.at
  br label %next
end:
  ret void
}

; In place: pairs of words to integers of 64 bits, the first word high; words to floats (24 bits) and pairs of words to
; doubles (53 bits) in [0, 1).
define internal void @join(ptr %out, i64 %n) alwaysinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %at = getelementptr i64, ptr %out, i64 %i
  %pair = load i64, ptr %at
  %joined = call i64 @llvm.fshl.i64(i64 %pair, i64 %pair, i64 32)
  store i64 %joined, ptr %at
  %next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal void @to_floats(ptr %out, i64 %n) alwaysinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %at = getelementptr i32, ptr %out, i64 %i
  %word = load i32, ptr %at
  %bits = and i32 %word, 16777215
  %whole = sitofp i32 %bits to float
  %unit = fmul float %whole, 0x3E70000000000000
  store float %unit, ptr %at
  %next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal void @to_doubles(ptr %out, i64 %n) alwaysinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %at = getelementptr i64, ptr %out, i64 %i
  %pair = load i64, ptr %at
  %joined = call i64 @llvm.fshl.i64(i64 %pair, i64 %pair, i64 32)
  %bits = and i64 %joined, 9007199254740991
  %whole = sitofp i64 %bits to double
  %unit = fmul double %whole, 0x3CA0000000000000
  store double %unit, ptr %at
  %next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}

; %n numbers, in pieces that stay in the first-level cache. %kind: 0 words, 1 double words, 2 floats, 3 doubles.
define void @draw(ptr %state, ptr %out, i64 %n, i64 %kind) {
entry:
  %wide = and i64 %kind, 1
  %longest = lshr i64 2048, %wide
  %item.log2 = add i64 2, %wide
  br label %next
next:
  %begin = phi i64 [ 0, %entry ], [ %after, %converted ]
  %left = sub i64 %n, %begin
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %piece, label %end
piece:
  %count = call i64 @llvm.smin.i64(i64 %left, i64 %longest)
  %offset = shl i64 %begin, %item.log2
  %to = getelementptr i8, ptr %out, i64 %offset
  %count.words = shl i64 %count, %wide
  call void @words(ptr %state, ptr %to, i64 %count.words)
  switch i64 %kind, label %converted [
    i64 1, label %pairs
    i64 2, label %floats
    i64 3, label %doubles
  ]
pairs:
  call void @join(ptr %to, i64 %count)
  br label %converted
floats:
  call void @to_floats(ptr %to, i64 %count)
  br label %converted
doubles:
  call void @to_doubles(ptr %to, i64 %count)
  br label %converted
converted:
  %after = add i64 %begin, %count
  br label %next
end:
  ret void
}

; %n integers of 64 bits: low + word mod span, for spans below 2^28. The quotient comes from a division of doubles,
; which is exact: it is further from the next whole number than its rounding error.
define void @integers(ptr %state, ptr noalias %out, i64 %n, i64 %low, i64 %span) {
entry:
  %piece = alloca [2048 x i32], align 64
  %divisor = sitofp i64 %span to double
  br label %next
next:
  %begin = phi i64 [ 0, %entry ], [ %after, %loop.end ]
  %left = sub i64 %n, %begin
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %draw, label %end
draw:
  %count = call i64 @llvm.smin.i64(i64 %left, i64 2048)
  call void @words(ptr %state, ptr %piece, i64 %count)
  %to = getelementptr i64, ptr %out, i64 %begin
  br label %loop
loop:
  %i = phi i64 [ 0, %draw ], [ %i.next, %loop ]
  %at = getelementptr i32, ptr %piece, i64 %i
  %word.32 = load i32, ptr %at
  %word = zext i32 %word.32 to i64
  %dividend = sitofp i64 %word to double
  %ratio = fdiv double %dividend, %divisor
  %quotient = fptosi double %ratio to i64
  %whole = mul i64 %quotient, %span
  %rest = sub i64 %word, %whole
  %number = add i64 %rest, %low
  %to.at = getelementptr i64, ptr %to, i64 %i
  store i64 %number, ptr %to.at
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %loop, label %loop.end
loop.end:
  %after = add i64 %begin, %count
  br label %next
end:
  ret void
}

; %n floats: 1 where 53 bits of a double word are below the threshold, else 0.
define void @coins(ptr %state, ptr noalias %out, i64 %n, i64 %threshold) {
entry:
  %piece = alloca [1024 x i64], align 64
  br label %next
next:
  %begin = phi i64 [ 0, %entry ], [ %after, %loop.end ]
  %left = sub i64 %n, %begin
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %draw, label %end
draw:
  %count = call i64 @llvm.smin.i64(i64 %left, i64 1024)
  %count.words = shl i64 %count, 1
  call void @words(ptr %state, ptr %piece, i64 %count.words)
  %to = getelementptr float, ptr %out, i64 %begin
  br label %loop
loop:
  %i = phi i64 [ 0, %draw ], [ %i.next, %loop ]
  %at = getelementptr i64, ptr %piece, i64 %i
  %pair = load i64, ptr %at
  %joined = call i64 @llvm.fshl.i64(i64 %pair, i64 %pair, i64 32)
  %bits = and i64 %joined, 9007199254740991
  %below = icmp ult i64 %bits, %threshold
  %coin = select i1 %below, float 1.0, float 0.0
  %to.at = getelementptr float, ptr %to, i64 %i
  store float %coin, ptr %to.at
  %i.next = add nuw nsw i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %loop, label %loop.end
loop.end:
  %after = add i64 %begin, %count
  br label %next
end:
  ret void
}
