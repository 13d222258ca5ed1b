; Storage and Tensor objects, made and freed against CPython's C interface.
;
; pellucid.runtime.native joins the five .ll files, puts in front of them the interpreter's offsets
;     @tuple_items   where a tuple's items begin         @bytes_data   where a bytes object's bytes begin
; and loads the whole as one module. References are owned or borrowed as in CPython: a value that a function
; returns is owned by its caller, arguments are borrowed, null means that an exception is set.

declare ptr @PyType_GenericAlloc(ptr, i64)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare void @PyObject_Free(ptr)
declare void @PyObject_ClearWeakRefs(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallFunction(ptr, ptr, ...)
declare i32 @PyObject_IsTrue(ptr)
declare void @_Py_Dealloc(ptr)
declare i64 @PyLong_AsSsize_t(ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyBool_FromLong(i64)
declare ptr @PyTuple_New(i64)
declare ptr @PyList_New(i64)
declare i32 @PyList_Append(ptr, ptr)
declare ptr @Py_BuildValue(ptr, ...)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyThreadState_Get()
declare i64 @PyThreadState_GetID(ptr)
declare ptr @PyThreadState_GetDict()
declare ptr @PyDict_GetItem(ptr, ptr)
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare ptr @PyErr_Format(ptr, ptr, ...)
declare ptr @PyErr_Occurred()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_Restore(ptr, ptr, ptr)
declare void @PyErr_WriteUnraisable(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1 immarg)
@PyExc_TypeError = external global ptr
@PyExc_ValueError = external global ptr
@PyExc_RuntimeError = external global ptr
@_Py_NoneStruct = external global i8
@_Py_TrueStruct = external global i8
@_Py_FalseStruct = external global i8

%Object = type { i64, ptr }  ; reference count, type

; ---------------------------------------------------------------- set from Python
%Default = type { i64, ptr }  ; offset of a slot in a Tensor, the value that a new Tensor gets there
@tensor_type   = global ptr null
@at_layout     = global i64 0  ; offsets of a Tensor's slots
@at_storage    = global i64 0
@at_ptr        = global i64 0
@at_tracked    = global i64 0
@at_base       = global i64 0
@at_seen       = global i64 0
@default_count = global i64 0
@defaults      = global [16 x %Default] zeroinitializer
@grad_key      = global ptr null  ; under which a thread's dict holds whether its calls are recorded
@parallel_for  = global ptr null  ; i64 (kernel, operands, params, n, grain)
@share_if_awake = global ptr null ; the same, for a range of no more than the grain
@redzone       = global i64 0     ; 128 while new blocks get red zones, or 0
@out_of_memory = global ptr null  ; callable(bytes), raises
@on_damage     = global ptr null  ; callable(address, bytes, offset of the first overwritten byte)
@storage_type  = global ptr null
@refresh       = global ptr null  ; callable(view), called when the memory of a view was written since it was made

; ---------------------------------------------------------------- reference counts
; The low 32 bits count; a set sign bit marks an object that is never freed (CPython 3.12 and later).
define internal void @incref(ptr %object) alwaysinline nounwind {
  %count = load i32, ptr %object
  %mortal = icmp sge i32 %count, 0
  br i1 %mortal, label %add, label %done
add:
  %more = add i32 %count, 1
  store i32 %more, ptr %object
  br label %done
done:
  ret void
}

define internal void @decref(ptr %object) alwaysinline nounwind {
  %count = load i32, ptr %object
  %mortal = icmp sge i32 %count, 0
  br i1 %mortal, label %subtract, label %done
subtract:
  %fewer = sub i32 %count, 1
  store i32 %fewer, ptr %object
  %last = icmp eq i32 %fewer, 0
  br i1 %last, label %free, label %done, !prof !1
free:
  call void @_Py_Dealloc(ptr %object)
  br label %done
done:
  ret void
}

define internal void @decref_all(ptr %objects, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %one ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %slot = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %slot
  call void @decref(ptr %object)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

define internal ptr @tuple_item(ptr %tuple, i64 %i) alwaysinline nounwind {
  %offset = load i64, ptr @tuple_items
  %items = getelementptr i8, ptr %tuple, i64 %offset
  %slot = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %slot
  ret ptr %item
}

define internal ptr @bytes_of(ptr %bytes) alwaysinline nounwind {
  %offset = load i64, ptr @bytes_data
  %data = getelementptr i8, ptr %bytes, i64 %offset
  ret ptr %data
}

; ---------------------------------------------------------------- whether gradients are on
; Each thread has a mode of its own, in its dict (absent: on). The mode of the thread that asked last is at hand;
; threads are told apart by their number, which is never used again.
@grad_thread  = internal global i64 -1
@grad_enabled = internal global i64 1

define internal i64 @grad_mode() alwaysinline nounwind {
entry:
  %state = call ptr @PyThreadState_Get()
  %thread = call i64 @PyThreadState_GetID(ptr %state)
  %last = load i64, ptr @grad_thread
  %same = icmp eq i64 %thread, %last
  br i1 %same, label %at_hand, label %look_up, !prof !0
at_hand:
  %mode = load i64, ptr @grad_enabled
  ret i64 %mode
look_up:
  %found = call i64 @find_grad_mode(i64 %thread)
  ret i64 %found
}

define internal i64 @find_grad_mode(i64 %thread) noinline nounwind {
entry:
  %dict = call ptr @PyThreadState_GetDict()
  %no_dict = icmp eq ptr %dict, null
  br i1 %no_dict, label %keep, label %get
get:
  %key = load ptr, ptr @grad_key
  %value = call ptr @PyDict_GetItem(ptr %dict, ptr %key)
  %is_off = icmp eq ptr %value, @_Py_FalseStruct
  br label %keep
keep:
  %off = phi i1 [ false, %entry ], [ %is_off, %get ]
  %mode = select i1 %off, i64 0, i64 1
  store i64 %mode, ptr @grad_enabled
  store i64 %thread, ptr @grad_thread
  ret i64 %mode
}

; Set the running thread's mode (0 or 1); false with an exception set.
define internal i1 @set_grad_mode(i64 %mode) nounwind {
entry:
  %dict = call ptr @PyThreadState_GetDict()
  %no_dict = icmp eq ptr %dict, null
  br i1 %no_dict, label %none, label %set
set:
  %on = icmp ne i64 %mode, 0
  %value = select i1 %on, ptr @_Py_TrueStruct, ptr @_Py_FalseStruct
  %key = load ptr, ptr @grad_key
  %status = call i32 @PyDict_SetItem(ptr %dict, ptr %key, ptr %value)
  %good = icmp eq i32 %status, 0
  br i1 %good, label %keep, label %fail
keep:
  %state = call ptr @PyThreadState_Get()
  %thread = call i64 @PyThreadState_GetID(ptr %state)
  store i64 %mode, ptr @grad_enabled
  store i64 %thread, ptr @grad_thread
  ret i1 true
none:
  %runtime_error = load ptr, ptr @PyExc_RuntimeError
  %error = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %runtime_error, ptr @message_no_thread)
  ret i1 false
fail:
  ret i1 false
}

; ---------------------------------------------------------------- Storage
; Memory of the pool has its class in `class` (plus 256 with red zones); foreign memory has -1 there and an
; owner that keeps it alive.
%Storage = type {
  %Object,
  i64,  ; 1 ptr       address of the first byte
  i64,  ; 2 nbytes
  i64,  ; 3 version   number of in-place writes
  ptr,  ; 4 owner
  ptr,  ; 5 weakrefs
  i64,  ; 6 class
  ptr,  ; 7 next      the list of storages with red zones
  ptr   ; 8 previous
}

; A new Storage of the pool; null with an exception set.
define internal ptr @storage_new(i64 %bytes) nounwind {
entry:
  %possible = icmp ule i64 %bytes, 70368744177664  ; 2^46; a negative size is a huge one
  br i1 %possible, label %take, label %refuse, !prof !0
take:
  %zones = load i64, ptr @redzone
  %with_zones = add i64 %bytes, %zones
  %fit = call { i64, i64 } @size_class(i64 %with_zones)
  %best_class = extractvalue { i64, i64 } %fit, 0
  %best_size = extractvalue { i64, i64 } %fit, 1
  %taken = call { ptr, i64 } @pool_take(i64 %best_class)
  %block = extractvalue { ptr, i64 } %taken, 0
  %class = extractvalue { ptr, i64 } %taken, 1
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %refuse, label %wrap, !prof !1
wrap:
  %type = load ptr, ptr @storage_type
  %storage = call ptr @PyType_GenericAlloc(ptr %type, i64 0)  ; every field is zero
  %no_object = icmp eq ptr %storage, null
  br i1 %no_object, label %return_block, label %fill, !prof !1
return_block:
  call void @pool_give(ptr %block, i64 %class)
  ret ptr null
fill:
  %half = lshr i64 %zones, 1
  %start = getelementptr i8, ptr %block, i64 %half
  %ptr_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  store ptr %start, ptr %ptr_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  store i64 %bytes, ptr %bytes_at
  %class_at = getelementptr %Storage, ptr %storage, i32 0, i32 6
  store i64 %class, ptr %class_at
  %size = call i64 @class_size(i64 %class)
  call void @count_block(i64 %bytes, i64 %size)
  %plain = icmp eq i64 %zones, 0
  br i1 %plain, label %done, label %zone, !prof !0
zone:
  call void @redzone_begin(ptr %storage)
  br label %done
done:
  ret ptr %storage
refuse:
  %callback = load ptr, ptr @out_of_memory
  %never = call ptr (ptr, ptr, ...) @PyObject_CallFunction(ptr %callback, ptr @format_size, i64 %bytes)
  ret ptr null
}

define internal void @count_block(i64 %bytes, i64 %size) alwaysinline nounwind {
  %in_use = load i64, ptr @in_use
  %now = add i64 %in_use, %bytes
  store i64 %now, ptr @in_use
  %peak = load i64, ptr @peak
  %highest = call i64 @llvm.umax.i64(i64 %peak, i64 %now)
  store i64 %highest, ptr @peak
  %in_blocks = load i64, ptr @in_blocks
  %blocks_now = add i64 %in_blocks, %size
  store i64 %blocks_now, ptr @in_blocks
  %allocations = load i64, ptr @allocations
  %allocated = add i64 %allocations, 1
  store i64 %allocated, ptr @allocations
  ret void
}

; Give a Storage's block back to the pool.
define internal void @storage_give(ptr %storage, i64 %class_word) nounwind {
entry:
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load ptr, ptr %start_at
  %bytes_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  %bytes = load i64, ptr %bytes_at
  %class = and i64 %class_word, 255
  %plain = icmp ult i64 %class_word, 256
  br i1 %plain, label %give, label %zoned, !prof !0
zoned:
  call void @redzone_end(ptr %storage)
  %before = getelementptr i8, ptr %start, i64 -64
  br label %give
give:
  %block = phi ptr [ %start, %entry ], [ %before, %zoned ]
  call void @pool_give(ptr %block, i64 %class)
  %size = call i64 @class_size(i64 %class)
  %in_use = load i64, ptr @in_use
  %now = sub i64 %in_use, %bytes
  store i64 %now, ptr @in_use
  %in_blocks = load i64, ptr @in_blocks
  %blocks_now = sub i64 %in_blocks, %size
  store i64 %blocks_now, ptr @in_blocks
  %frees = load i64, ptr @frees
  %freed = add i64 %frees, 1
  store i64 %freed, ptr @frees
  ret void
}

define internal void @storage_dealloc(ptr %storage) nounwind {
entry:
  %weakrefs_at = getelementptr %Storage, ptr %storage, i32 0, i32 5
  %weakrefs = load ptr, ptr %weakrefs_at
  %unwatched = icmp eq ptr %weakrefs, null
  br i1 %unwatched, label %memory, label %clear, !prof !0
clear:
  call void @PyObject_ClearWeakRefs(ptr %storage)
  br label %memory
memory:
  %class_at = getelementptr %Storage, ptr %storage, i32 0, i32 6
  %class_word = load i64, ptr %class_at
  %foreign = icmp slt i64 %class_word, 0
  br i1 %foreign, label %drop_owner, label %give, !prof !1
drop_owner:
  %owner_at = getelementptr %Storage, ptr %storage, i32 0, i32 4
  %owner = load ptr, ptr %owner_at
  store ptr null, ptr %owner_at
  call void @decref(ptr %owner)
  br label %free
give:
  call void @storage_give(ptr %storage, i64 %class_word)
  br label %free
free:
  %type_at = getelementptr %Object, ptr %storage, i32 0, i32 1
  %type = load ptr, ptr %type_at
  call void @PyObject_Free(ptr %storage)
  call void @decref(ptr %type)  ; an instance of a heap type owns a reference to it
  ret void
}

; ---------------------------------------------------------------- tensors
; A new Tensor; null with an exception set. Arguments are borrowed.
define internal ptr @tensor_new(ptr %layout, ptr %storage, i64 %address) nounwind {
entry:
  %ptr = call ptr @PyLong_FromSsize_t(i64 %address)
  %no_ptr = icmp eq ptr %ptr, null
  br i1 %no_ptr, label %fail, label %allocate, !prof !1
allocate:
  %type = load ptr, ptr @tensor_type
  %tensor = call ptr @PyType_GenericAlloc(ptr %type, i64 0)
  %no_tensor = icmp eq ptr %tensor, null
  br i1 %no_tensor, label %drop, label %fill, !prof !1
drop:
  call void @decref(ptr %ptr)
  br label %fail
fail:
  ret ptr null
fill:
  %at_ptr = load i64, ptr @at_ptr
  %ptr_slot = getelementptr i8, ptr %tensor, i64 %at_ptr
  store ptr %ptr, ptr %ptr_slot
  %at_layout = load i64, ptr @at_layout
  %layout_slot = getelementptr i8, ptr %tensor, i64 %at_layout
  call void @incref(ptr %layout)
  store ptr %layout, ptr %layout_slot
  %at_storage = load i64, ptr @at_storage
  %storage_slot = getelementptr i8, ptr %tensor, i64 %at_storage
  call void @incref(ptr %storage)
  store ptr %storage, ptr %storage_slot
  %count = load i64, ptr @default_count
  br label %loop
loop:
  %i = phi i64 [ 0, %fill ], [ %next, %one ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %offset_at = getelementptr %Default, ptr @defaults, i64 %i, i32 0
  %offset = load i64, ptr %offset_at
  %value_at = getelementptr %Default, ptr @defaults, i64 %i, i32 1
  %value = load ptr, ptr %value_at
  call void @incref(ptr %value)
  %slot = getelementptr i8, ptr %tensor, i64 %offset
  store ptr %value, ptr %slot
  %next = add i64 %i, 1
  br label %loop
done:
  ret ptr %tensor
}

; The value of a Tensor's slot, borrowed; null without an exception when the slot is empty.
define internal ptr @slot(ptr %tensor, i64 %offset) alwaysinline nounwind {
  %slot = getelementptr i8, ptr %tensor, i64 %offset
  %value = load ptr, ptr %slot
  ret ptr %value
}

define internal i1 @is_tensor(ptr %object) alwaysinline nounwind {
  %type_at = getelementptr %Object, ptr %object, i32 0, i32 1
  %type = load ptr, ptr %type_at
  %tensor_type = load ptr, ptr @tensor_type
  %exactly = icmp eq ptr %type, %tensor_type
  br i1 %exactly, label %yes, label %subclass
subclass:
  %is_subtype = call i32 @PyType_IsSubtype(ptr %type, ptr %tensor_type)
  %derived = icmp ne i32 %is_subtype, 0
  ret i1 %derived
yes:
  ret i1 true
}

; The Tensor's Storage, borrowed; null without an exception when it has none.
define internal ptr @storage_of(ptr %tensor) alwaysinline nounwind {
entry:
  %at_storage = load i64, ptr @at_storage
  %storage = call ptr @slot(ptr %tensor, i64 %at_storage)
  %empty = icmp eq ptr %storage, null
  br i1 %empty, label %none, label %look
look:
  %type_at = getelementptr %Object, ptr %storage, i32 0, i32 1
  %type = load ptr, ptr %type_at
  %expected = load ptr, ptr @storage_type
  %fits = icmp eq ptr %type, %expected
  br i1 %fits, label %found, label %none
found:
  ret ptr %storage
none:
  ret ptr null
}

; Write the address of a Tensor's first element to `operand`; false with an exception set.
define internal i1 @tensor_address(ptr %object, i64 %position, ptr %operand) alwaysinline nounwind {
entry:
  %fits = call i1 @is_tensor(ptr %object)
  br i1 %fits, label %memory, label %wrong, !prof !0
memory:
  %storage = call ptr @storage_of(ptr %object)
  %at_ptr = load i64, ptr @at_ptr
  %ptr = call ptr @slot(ptr %object, i64 %at_ptr)
  %has_storage = icmp ne ptr %storage, null
  %has_ptr = icmp ne ptr %ptr, null
  %has_memory = and i1 %has_storage, %has_ptr
  br i1 %has_memory, label %convert, label %empty, !prof !0
convert:
  %address = call i64 @PyLong_AsSsize_t(ptr %ptr)
  store i64 %address, ptr %operand
  %suspect = icmp eq i64 %address, -1
  br i1 %suspect, label %ask, label %good, !prof !1
ask:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  ret i1 %fine
good:
  ret i1 true
wrong:
  %type_at = getelementptr %Object, ptr %object, i32 0, i32 1
  %type = load ptr, ptr %type_at
  %type_error = load ptr, ptr @PyExc_TypeError
  %set = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %type_error, ptr @message_not_tensor, i64 %position, ptr %type)
  ret i1 false
empty:
  %type_error_2 = load ptr, ptr @PyExc_TypeError
  %set_2 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %type_error_2, ptr @message_no_memory, i64 %position)
  ret i1 false
}

; Whether a Tensor is tracked: it needs a gradient, or a result computed from it does.
define internal i1 @needs_grad(ptr %tensor) alwaysinline nounwind {
  %at_tracked = load i64, ptr @at_tracked
  %flag = call ptr @slot(ptr %tensor, i64 %at_tracked)
  %set = icmp eq ptr %flag, @_Py_TrueStruct
  ret i1 %set
}

; A view that is used: when its memory was written since its place in the graph was found (its slot `seen` is not the
; storage's version), refresh(view) finds the new one. False with an exception set. Tensors without a base are left.
define internal i1 @current(ptr %tensor) alwaysinline nounwind {
entry:
  %at_base = load i64, ptr @at_base
  %base = call ptr @slot(ptr %tensor, i64 %at_base)
  %is_none = icmp eq ptr %base, @_Py_NoneStruct
  %is_empty = icmp eq ptr %base, null
  %plain = or i1 %is_none, %is_empty
  br i1 %plain, label %done, label %view
view:
  %good = call i1 @current_view(ptr %tensor)
  ret i1 %good
done:
  ret i1 true
}

define internal i1 @current_view(ptr %tensor) noinline nounwind {
entry:
  %enabled = call i64 @grad_mode()
  %off = icmp eq i64 %enabled, 0
  br i1 %off, label %done, label %compare
compare:
  %at_seen = load i64, ptr @at_seen
  %seen = call ptr @slot(ptr %tensor, i64 %at_seen)  ; views have one
  %seen_version = call i64 @PyLong_AsSsize_t(ptr %seen)
  %storage = call ptr @storage_of(ptr %tensor)
  %version_at = getelementptr %Storage, ptr %storage, i32 0, i32 3
  %version = load i64, ptr %version_at
  %same = icmp eq i64 %seen_version, %version
  br i1 %same, label %done, label %ask
ask:
  %callback = load ptr, ptr @refresh
  %none = icmp eq ptr %callback, null
  br i1 %none, label %done, label %call
call:
  %box = alloca ptr
  store ptr %tensor, ptr %box
  %good = call i1 @call_with(ptr %callback, ptr %box, i64 1, ptr %box, i64 0)
  ret i1 %good
done:
  ret i1 true
}

; Make `view` a view of what `tensor` is a view of, or of `tensor`; false with an exception set.
define internal i1 @set_base(ptr %view, ptr %tensor) alwaysinline nounwind {
entry:
  %at_base = load i64, ptr @at_base
  %own = call ptr @slot(ptr %tensor, i64 %at_base)
  %is_none = icmp eq ptr %own, @_Py_NoneStruct
  %is_empty = icmp eq ptr %own, null
  %first = or i1 %is_none, %is_empty
  %base = select i1 %first, ptr %tensor, ptr %own
  %enabled = call i64 @grad_mode()
  %on = icmp ne i64 %enabled, 0
  %storage = call ptr @storage_of(ptr %view)
  %version_at = getelementptr %Storage, ptr %storage, i32 0, i32 3
  %version = load i64, ptr %version_at
  %without = sub i64 -1, %version
  %seen_version = select i1 %on, i64 %version, i64 %without
  %seen = call ptr @PyLong_FromSsize_t(i64 %seen_version)
  %failed = icmp eq ptr %seen, null
  br i1 %failed, label %fail, label %set
set:
  call void @incref(ptr %base)
  call void @replace_slot(ptr %view, i64 %at_base, ptr %base)
  %at_seen = load i64, ptr @at_seen
  call void @replace_slot(ptr %view, i64 %at_seen, ptr %seen)
  ret i1 true
fail:
  ret i1 false
}

; Put an owned value into a slot.
define internal void @replace_slot(ptr %tensor, i64 %offset, ptr %value) alwaysinline nounwind {
  %slot = getelementptr i8, ptr %tensor, i64 %offset
  %before = load ptr, ptr %slot
  store ptr %value, ptr %slot
  call void @decref(ptr %before)
  ret void
}
