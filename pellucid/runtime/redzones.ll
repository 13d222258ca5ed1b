; Red zones: a mode in which writes outside of a tensor are found.
;
; A block with red zones has 64 bytes of 0xA5 before its first and after its last byte. A kernel that writes
; outside of its tensor is found when the block is freed, or by @damaged.
@zoned = internal global ptr null  ; the first storage with red zones

define internal void @redzone_begin(ptr %storage) noinline cold nounwind {
entry:
  %class_at = getelementptr %Storage, ptr %storage, i32 0, i32 6
  %class = load i64, ptr %class_at
  %class_word = or i64 %class, 256
  store i64 %class_word, ptr %class_at
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load ptr, ptr %start_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  %bytes = load i64, ptr %bytes_at
  %before = getelementptr i8, ptr %start, i64 -64
  %after = getelementptr i8, ptr %start, i64 %bytes
  call void @llvm.memset.p0.i64(ptr %before, i8 -91, i64 64, i1 false)
  call void @llvm.memset.p0.i64(ptr %after, i8 -91, i64 64, i1 false)
  %next = load ptr, ptr @zoned
  %next_at = getelementptr %Storage, ptr %storage, i32 0, i32 7
  store ptr %next, ptr %next_at
  store ptr %storage, ptr @zoned
  %alone = icmp eq ptr %next, null
  br i1 %alone, label %done, label %link
link:
  %previous_at = getelementptr %Storage, ptr %next, i32 0, i32 8
  store ptr %storage, ptr %previous_at
  br label %done
done:
  ret void
}

; Take a storage off the list; call @on_damage when its zones were written to.
define internal void @redzone_end(ptr %storage) noinline cold nounwind {
entry:
  %next_at = getelementptr %Storage, ptr %storage, i32 0, i32 7
  %next = load ptr, ptr %next_at
  %previous_at = getelementptr %Storage, ptr %storage, i32 0, i32 8
  %previous = load ptr, ptr %previous_at
  %is_first = icmp eq ptr %previous, null
  %next_of_previous = getelementptr %Storage, ptr %previous, i32 0, i32 7
  %link = select i1 %is_first, ptr @zoned, ptr %next_of_previous
  store ptr %next, ptr %link
  %is_last = icmp eq ptr %next, null
  br i1 %is_last, label %check, label %relink
relink:
  %previous_of_next = getelementptr %Storage, ptr %next, i32 0, i32 8
  store ptr %previous, ptr %previous_of_next
  br label %check
check:
  %offset = call i64 @first_damage(ptr %storage)
  %damaged = icmp ne i64 %offset, -9223372036854775808
  br i1 %damaged, label %report, label %done
report:
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load i64, ptr %start_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  %bytes = load i64, ptr %bytes_at
  %callback = load ptr, ptr @on_damage
  %error = alloca [3 x ptr]  ; an exception that is on its way must survive the call
  %value = getelementptr ptr, ptr %error, i64 1
  %traceback = getelementptr ptr, ptr %error, i64 2
  call void @PyErr_Fetch(ptr %error, ptr %value, ptr %traceback)
  %result = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %callback, ptr @format_damage, i64 %start, i64 %bytes, i64 %offset)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %unraisable, label %drop
unraisable:
  call void @PyErr_WriteUnraisable(ptr %callback)
  br label %restore
drop:
  call void @decref(ptr %result)
  br label %restore
restore:
  %old_type = load ptr, ptr %error
  %old_value = load ptr, ptr %value
  %old_traceback = load ptr, ptr %traceback
  call void @PyErr_Restore(ptr %old_type, ptr %old_value, ptr %old_traceback)
  br label %done
done:
  ret void
}

; Offset from the storage's start of the first overwritten byte in its zones; the lowest i64 if there is none.
define internal i64 @first_damage(ptr %storage) nounwind {
entry:
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load ptr, ptr %start_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  %bytes = load i64, ptr %bytes_at
  %end = add i64 %bytes, 64
  br label %loop
loop:
  %offset = phi i64 [ -64, %entry ], [ %next, %step ]
  %byte_at = getelementptr i8, ptr %start, i64 %offset
  %byte = load i8, ptr %byte_at
  %intact = icmp eq i8 %byte, -91
  br i1 %intact, label %step, label %found
step:
  %above = add i64 %offset, 1
  %zone_done = icmp eq i64 %above, 0
  %next = select i1 %zone_done, i64 %bytes, i64 %above  ; jump over the tensor's own bytes
  %more = icmp ne i64 %next, %end
  br i1 %more, label %loop, label %none
found:
  ret i64 %offset
none:
  ret i64 -9223372036854775808
}

; damaged() -> list of (address, bytes, offset) of the live storages whose zones were written to.
define internal ptr @damaged(ptr %module, ptr %unused) nounwind {
entry:
  %list = call ptr @PyList_New(i64 0)
  %no_list = icmp eq ptr %list, null
  br i1 %no_list, label %fail, label %start
start:
  %first = load ptr, ptr @zoned
  br label %loop
loop:
  %storage = phi ptr [ %first, %start ], [ %next, %advance ]
  %end = icmp eq ptr %storage, null
  br i1 %end, label %done, label %check
check:
  ; Making objects may collect garbage and so free storages: hold this one, and read `next` afterwards.
  call void @incref(ptr %storage)
  %offset = call i64 @first_damage(ptr %storage)
  %damaged = icmp ne i64 %offset, -9223372036854775808
  br i1 %damaged, label %append, label %advance
append:
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %address = load i64, ptr %start_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  %bytes = load i64, ptr %bytes_at
  %entry_tuple = call ptr (ptr, ...) @Py_BuildValue(ptr @format_damage, i64 %address, i64 %bytes, i64 %offset)
  %no_tuple = icmp eq ptr %entry_tuple, null
  br i1 %no_tuple, label %drop, label %push
push:
  %status = call i32 @PyList_Append(ptr %list, ptr %entry_tuple)
  call void @decref(ptr %entry_tuple)
  %bad = icmp ne i32 %status, 0
  br i1 %bad, label %drop, label %advance
advance:
  %next_at = getelementptr %Storage, ptr %storage, i32 0, i32 7
  %next = load ptr, ptr %next_at
  call void @decref(ptr %storage)
  br label %loop
drop:
  call void @decref(ptr %storage)
  call void @decref(ptr %list)
  br label %fail
fail:
  ret ptr null
done:
  ret ptr %list
}
