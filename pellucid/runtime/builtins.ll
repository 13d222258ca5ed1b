; The small builtins of pellucid.runtime.native, and the tables that describe everything to CPython.

; ---------------------------------------------------------------- arguments
; An argument that is an int; false with an exception set.
define internal i1 @as_integer(ptr %args, i64 %i, ptr %out) nounwind {
  %arg_at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg_at
  %value = call i64 @PyLong_AsSsize_t(ptr %arg)
  store i64 %value, ptr %out
  %suspect = icmp eq i64 %value, -1
  br i1 %suspect, label %ask, label %good
ask:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  ret i1 %fine
good:
  ret i1 true
}

define internal i1 @three_arguments(i64 %count) nounwind {
  %good = icmp eq i64 %count, 3
  br i1 %good, label %done, label %wrong
wrong:
  %type_error = load ptr, ptr @PyExc_TypeError
  %set = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %type_error, ptr @message_count, i64 3, i64 %count)
  br label %done
done:
  ret i1 %good
}

; ---------------------------------------------------------------- builtins
; alloc(bytes) -> Storage
define internal ptr @alloc(ptr %module, ptr %size) nounwind {
entry:
  %box = alloca ptr
  %bytes_at = alloca i64
  store ptr %size, ptr %box
  %good = call i1 @as_integer(ptr %box, i64 0, ptr %bytes_at)
  br i1 %good, label %make, label %fail
make:
  %bytes = load i64, ptr %bytes_at
  %storage = call ptr @storage_new(i64 %bytes)
  ret ptr %storage
fail:
  ret ptr null
}

; wrap(address, bytes, owner) -> Storage on memory that the owner keeps alive
define internal ptr @wrap(ptr %module, ptr %args, i64 %count) nounwind {
entry:
  %address_at = alloca i64
  %bytes_at = alloca i64
  %count_good = call i1 @three_arguments(i64 %count)
  br i1 %count_good, label %address, label %fail
address:
  %address_good = call i1 @as_integer(ptr %args, i64 0, ptr %address_at)
  br i1 %address_good, label %bytes, label %fail
bytes:
  %bytes_good = call i1 @as_integer(ptr %args, i64 1, ptr %bytes_at)
  br i1 %bytes_good, label %size, label %fail
size:
  %bytes_value = load i64, ptr %bytes_at
  %negative = icmp slt i64 %bytes_value, 0
  br i1 %negative, label %refuse, label %make
refuse:
  %value_error = load ptr, ptr @PyExc_ValueError
  %set = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %value_error, ptr @message_negative, i64 %bytes_value)
  ret ptr null
make:
  %type = load ptr, ptr @storage_type
  %storage = call ptr @PyType_GenericAlloc(ptr %type, i64 0)
  %failed = icmp eq ptr %storage, null
  br i1 %failed, label %fail, label %fill
fill:
  %address_value = load i64, ptr %address_at
  %ptr_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  store i64 %address_value, ptr %ptr_at
  %size_at = getelementptr %Storage, ptr %storage, i32 0, i32 2
  store i64 %bytes_value, ptr %size_at
  %owner_arg = getelementptr ptr, ptr %args, i64 2
  %owner = load ptr, ptr %owner_arg
  call void @incref(ptr %owner)
  %owner_at = getelementptr %Storage, ptr %storage, i32 0, i32 4
  store ptr %owner, ptr %owner_at
  %class_at = getelementptr %Storage, ptr %storage, i32 0, i32 6
  store i64 -1, ptr %class_at
  ret ptr %storage
fail:
  ret ptr null
}

; new_tensor(layout, storage, address) -> Tensor
define internal ptr @new_tensor(ptr %module, ptr %args, i64 %count) nounwind {
entry:
  %address_at = alloca i64
  %count_good = call i1 @three_arguments(i64 %count)
  br i1 %count_good, label %configured, label %fail
configured:
  %type = load ptr, ptr @tensor_type
  %no_type = icmp eq ptr %type, null
  br i1 %no_type, label %no_tensor_type, label %storage
storage:
  %storage_arg = getelementptr ptr, ptr %args, i64 1
  %storage_object = load ptr, ptr %storage_arg
  %its_type_at = getelementptr %Object, ptr %storage_object, i32 0, i32 1
  %its_type = load ptr, ptr %its_type_at
  %storage_type = load ptr, ptr @storage_type
  %is_storage = icmp eq ptr %its_type, %storage_type
  br i1 %is_storage, label %address, label %wrong
address:
  %address_good = call i1 @as_integer(ptr %args, i64 2, ptr %address_at)
  br i1 %address_good, label %make, label %fail
make:
  %layout = load ptr, ptr %args
  %address_value = load i64, ptr %address_at
  %tensor = call ptr @tensor_new(ptr %layout, ptr %storage_object, i64 %address_value)
  ret ptr %tensor
no_tensor_type:
  %runtime_error = load ptr, ptr @PyExc_RuntimeError
  %set_1 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %runtime_error, ptr @message_unconfigured)
  ret ptr null
wrong:
  %type_error = load ptr, ptr @PyExc_TypeError
  %set_2 = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %type_error, ptr @message_not_storage, ptr %its_type)
  ret ptr null
fail:
  ret ptr null
}

; set_grad_enabled(mode) -> the mode before
define internal ptr @set_grad_enabled(ptr %module, ptr %mode) nounwind {
entry:
  %truth = call i32 @PyObject_IsTrue(ptr %mode)
  %good = icmp sge i32 %truth, 0
  br i1 %good, label %set, label %fail
set:
  %before = call i64 @grad_mode()
  %now = zext i32 %truth to i64
  %changed = call i1 @set_grad_mode(i64 %now)
  br i1 %changed, label %done, label %fail
done:
  %result = call ptr @PyBool_FromLong(i64 %before)
  ret ptr %result
fail:
  ret ptr null
}

; grad_enabled() -> bool
define internal ptr @is_grad_enabled(ptr %module, ptr %unused) nounwind {
  %mode = call i64 @grad_mode()
  %result = call ptr @PyBool_FromLong(i64 %mode)
  ret ptr %result
}

; recorded(*operands) -> bool: gradients are on and a tensor among the operands needs one
define internal ptr @recorded(ptr %module, ptr %args, i64 %count) nounwind {
entry:
  %enabled = call i64 @grad_mode()
  %off = icmp eq i64 %enabled, 0
  br i1 %off, label %done, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %after ]
  %found = phi i1 [ false, %entry ], [ %found_now, %after ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %arg_at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg_at
  %fits = call i1 @is_tensor(ptr %arg)
  br i1 %fits, label %tensor, label %after
tensor:
  %good = call i1 @current(ptr %arg)
  br i1 %good, label %ask, label %fail
ask:
  %needs = call i1 @needs_grad(ptr %arg)
  %either = or i1 %found, %needs
  br label %after
after:
  %found_now = phi i1 [ %found, %one ], [ %either, %ask ]
  %next = add i64 %i, 1
  br label %loop
done:
  %result = phi i1 [ false, %entry ], [ %found, %loop ]
  %truth = zext i1 %result to i64
  %answer = call ptr @PyBool_FromLong(i64 %truth)
  ret ptr %answer
fail:
  ret ptr null
}

; ---------------------------------------------------------------- tables for CPython
; The texts (@name_..., @doc_..., @message_..., @format_...) are written in pellucid/runtime/native.py.
%Method = type { ptr, ptr, i32, ptr }  ; PyMethodDef: name, function, flags, doc
; METH_NOARGS = 4, METH_O = 8, METH_FASTCALL = 128
@method_launch = global %Method { ptr @name_launch, ptr @launch, i32 128, ptr @doc_launch }
@method_view = global %Method { ptr @name_view, ptr @view, i32 8, ptr @doc_view }
@method_alloc = global %Method { ptr @name_alloc, ptr @alloc, i32 8, ptr @doc_alloc }
@method_wrap = global %Method { ptr @name_wrap, ptr @wrap, i32 128, ptr @doc_wrap }
@method_new_tensor = global %Method { ptr @name_new_tensor, ptr @new_tensor, i32 128, ptr @doc_new_tensor }
@method_set_grad_enabled = global %Method { ptr @name_set_grad_enabled, ptr @set_grad_enabled, i32 8, ptr @doc_set_grad_enabled }
@method_grad_enabled = global %Method { ptr @name_grad_enabled, ptr @is_grad_enabled, i32 4, ptr @doc_grad_enabled }
@method_recorded = global %Method { ptr @name_recorded, ptr @recorded, i32 128, ptr @doc_recorded }
@method_damaged = global %Method { ptr @name_damaged, ptr @damaged, i32 4, ptr @doc_damaged }

%Member = type { ptr, i32, i64, i32, ptr }  ; PyMemberDef: name, type, offset, flags, doc
; types: 6 object (None when empty), 17 long long, 18 unsigned long long, 19 Py_ssize_t; flags: 1 read-only
@members = internal global [6 x %Member] [
  %Member { ptr @name_ptr, i32 18, i64 16, i32 1, ptr @doc_ptr },
  %Member { ptr @name_nbytes, i32 18, i64 24, i32 1, ptr @doc_nbytes },
  %Member { ptr @name_version, i32 17, i64 32, i32 0, ptr @doc_version },
  %Member { ptr @name_owner, i32 6, i64 40, i32 1, ptr @doc_owner },
  %Member { ptr @name_weaklistoffset, i32 19, i64 48, i32 1, ptr null },
  %Member zeroinitializer ]

%Slot = type { i32, ptr }  ; PyType_Slot: 52 tp_dealloc, 56 tp_doc, 72 tp_members
@slots = internal global [4 x %Slot] [
  %Slot { i32 52, ptr @storage_dealloc },
  %Slot { i32 56, ptr @doc_storage },
  %Slot { i32 72, ptr @members },
  %Slot zeroinitializer ]

%Spec = type { ptr, i32, i32, i32, ptr }  ; PyType_Spec: name, basicsize, itemsize, flags, slots
; flags: 128 no instances by calling the type, 256 immutable
@storage_spec = global %Spec { ptr @name_storage, i32 80, i32 0, i32 384, ptr @slots }

!0 = !{!"branch_weights", i32 1000, i32 1}
!1 = !{!"branch_weights", i32 1, i32 1000}
