; The builtins: the call of a plan, of a view, and the small functions of pellucid.runtime.native.
;
; A plan's builtin is @launch bound to the tuple
;     (spec, params, record, fail, layout of output 0, layout of output 1, ...)
; where spec is a bytes object of i64: 0 kernel | 1 params | 2 n | 3 grain | 4 flags | 5 n_out | 6 n_in |
;     bytes of each output | kind of each input: 0 tensor, 1 scalar as float64, 2 scalar as int64.
; flags: 1 release the interpreter's lock while the kernel runs; 2 the outputs are the first n_out arguments;
; 4 the range may be cut anywhere, and is long enough to be shared with workers that are awake.
; n_out + n_in <= 64, checked where the builtin is made.

; ---------------------------------------------------------------- arguments -> operands
; Fill the operands of the inputs. 1: some tensor needs a gradient; 0: none does; -1: an exception is set.
define internal i32 @collect_inputs(ptr %args, ptr %kinds, i64 %count, i64 %skipped, ptr %operands) alwaysinline nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %tensor_done ], [ %next_scalar, %scalar_done ]
  %grad = phi i1 [ false, %entry ], [ %grad_now, %tensor_done ], [ %grad, %scalar_done ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %arg_at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg_at
  %operand = getelementptr i64, ptr %operands, i64 %i
  %kind_at = getelementptr i64, ptr %kinds, i64 %i
  %kind = load i64, ptr %kind_at
  %is_tensor = icmp eq i64 %kind, 0
  br i1 %is_tensor, label %tensor, label %scalar
tensor:
  %position = add i64 %i, %skipped
  %good = call i1 @tensor_address(ptr %arg, i64 %position, ptr %operand)
  br i1 %good, label %tensor_good, label %fail, !prof !0
tensor_good:
  %is_current = call i1 @current(ptr %arg)
  br i1 %is_current, label %tensor_done, label %fail, !prof !0
tensor_done:
  %needs = call i1 @needs_grad(ptr %arg)
  %grad_now = or i1 %grad, %needs
  %next = add i64 %i, 1
  br label %loop
scalar:
  %is_float = icmp eq i64 %kind, 1
  br i1 %is_float, label %float, label %integer
float:
  %float_value = call double @PyFloat_AsDouble(ptr %arg)
  store double %float_value, ptr %operand
  %float_suspect = fcmp oeq double %float_value, -1.0
  br i1 %float_suspect, label %ask, label %scalar_done
integer:
  %integer_value = call i64 @PyLong_AsSsize_t(ptr %arg)
  store i64 %integer_value, ptr %operand
  %integer_suspect = icmp eq i64 %integer_value, -1
  br i1 %integer_suspect, label %ask, label %scalar_done
ask:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %scalar_done, label %fail
scalar_done:
  %next_scalar = add i64 %i, 1
  br label %loop
done:
  %result = zext i1 %grad to i32
  ret i32 %result
fail:
  ret i32 -1
}

; In-place calls: outputs are arguments. Own their storages, fill their operands; false with an exception set
; (then nothing is owned).
define internal i1 @collect_outputs(ptr %args, i64 %count, ptr %operands, ptr %storages) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %own ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %arg_at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg_at
  %operand = getelementptr i64, ptr %operands, i64 %i
  %good = call i1 @tensor_address(ptr %arg, i64 %i, ptr %operand)
  br i1 %good, label %own, label %fail
own:
  %storage = call ptr @storage_of(ptr %arg)
  call void @incref(ptr %storage)
  %storage_at = getelementptr ptr, ptr %storages, i64 %i
  store ptr %storage, ptr %storage_at
  %next = add i64 %i, 1
  br label %loop
done:
  ret i1 true
fail:
  call void @decref_all(ptr %storages, i64 %i)
  ret i1 false
}

; New storages for all outputs, likewise.
define internal i1 @allocate_outputs(ptr %sizes, i64 %count, ptr %operands, ptr %storages) alwaysinline nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %own ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %size_at = getelementptr i64, ptr %sizes, i64 %i
  %size = load i64, ptr %size_at
  %storage = call ptr @storage_new(i64 %size)
  %failed = icmp eq ptr %storage, null
  br i1 %failed, label %fail, label %own, !prof !1
own:
  %storage_at = getelementptr ptr, ptr %storages, i64 %i
  store ptr %storage, ptr %storage_at
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load i64, ptr %start_at
  %operand = getelementptr i64, ptr %operands, i64 %i
  store i64 %start, ptr %operand
  %next = add i64 %i, 1
  br label %loop
done:
  ret i1 true
fail:
  call void @decref_all(ptr %storages, i64 %i)
  ret i1 false
}

; ---------------------------------------------------------------- running the kernel
define internal i64 @run(ptr %spec, ptr %operands) alwaysinline nounwind {
entry:
  %kernel = load ptr, ptr %spec
  %params_at = getelementptr i64, ptr %spec, i64 1
  %params = load ptr, ptr %params_at
  %n_at = getelementptr i64, ptr %spec, i64 2
  %n = load i64, ptr %n_at
  %grain_at = getelementptr i64, ptr %spec, i64 3
  %grain = load i64, ptr %grain_at
  %here = icmp sle i64 %n, %grain
  br i1 %here, label %short, label %parallel
short:
  %flags_at = getelementptr i64, ptr %spec, i64 4
  %flags = load i64, ptr %flags_at
  %divisible_bit = and i64 %flags, 4
  %divisible = icmp ne i64 %divisible_bit, 0
  br i1 %divisible, label %middling, label %inline, !prof !1
middling:
  %share = load ptr, ptr @share_if_awake
  %shared = call i64 %share(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain)
  ret i64 %shared
inline:
  %status = call i64 %kernel(ptr %operands, ptr %params, i64 0, i64 %n)
  ret i64 %status
parallel:
  %parallel_for = load ptr, ptr @parallel_for
  %bits = call i64 %parallel_for(ptr %kernel, ptr %operands, ptr %params, i64 %n, i64 %grain)
  ret i64 %bits
}

; The same without the interpreter's lock. Other threads run meanwhile and could give an argument another
; storage, so the inputs' storages are owned for that time.
define internal i64 @run_unlocked(ptr %spec, ptr %operands, ptr %inputs, ptr %kinds, i64 %count) nounwind {
entry:
  %held = alloca [64 x ptr]
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %step ]
  %kept = phi i64 [ 0, %entry ], [ %kept_now, %step ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %unlock
one:
  %kind_at = getelementptr i64, ptr %kinds, i64 %i
  %kind = load i64, ptr %kind_at
  %is_tensor = icmp eq i64 %kind, 0
  br i1 %is_tensor, label %hold, label %step
hold:
  %input_at = getelementptr ptr, ptr %inputs, i64 %i
  %input = load ptr, ptr %input_at
  %storage = call ptr @storage_of(ptr %input)
  call void @incref(ptr %storage)
  %held_at = getelementptr ptr, ptr %held, i64 %kept
  store ptr %storage, ptr %held_at
  %kept_more = add i64 %kept, 1
  br label %step
step:
  %kept_now = phi i64 [ %kept, %one ], [ %kept_more, %hold ]
  %next = add i64 %i, 1
  br label %loop
unlock:
  %thread = call ptr @PyEval_SaveThread()
  %status = call i64 @run(ptr %spec, ptr %operands)
  call void @PyEval_RestoreThread(ptr %thread)
  call void @decref_all(ptr %held, i64 %kept)
  ret i64 %status
}

; ---------------------------------------------------------------- results
; Turn owned storages into owned Tensors in place; false with an exception set (all are then still owned).
define internal i1 @make_tensors(ptr %self, i64 %count, ptr %objects) alwaysinline nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %swap ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %layout_index = add i64 %i, 4
  %layout = call ptr @tuple_item(ptr %self, i64 %layout_index)
  %object_at = getelementptr ptr, ptr %objects, i64 %i
  %storage = load ptr, ptr %object_at
  %start_at = getelementptr %Storage, ptr %storage, i32 0, i32 1
  %start = load i64, ptr %start_at
  %tensor = call ptr @tensor_new(ptr %layout, ptr %storage, i64 %start)
  %failed = icmp eq ptr %tensor, null
  br i1 %failed, label %fail, label %swap, !prof !1
swap:
  store ptr %tensor, ptr %object_at
  call void @decref(ptr %storage)
  %next = add i64 %i, 1
  br label %loop
done:
  ret i1 true
fail:
  ret i1 false
}

; callable(first..., second...); false with an exception set. The result is dropped.
define internal i1 @call_with(ptr %callable, ptr %first, i64 %first_count, ptr %second, i64 %second_count) noinline nounwind {
  %all = alloca [128 x ptr]
  %rest = getelementptr ptr, ptr %all, i64 %first_count
  %first_bytes = shl i64 %first_count, 3
  %second_bytes = shl i64 %second_count, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %all, ptr %first, i64 %first_bytes, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %second, i64 %second_bytes, i1 false)
  %count = add i64 %first_count, %second_count
  %result = call ptr @PyObject_Vectorcall(ptr %callable, ptr %all, i64 %count, ptr null)
  %good = icmp ne ptr %result, null
  br i1 %good, label %drop, label %done
drop:
  call void @decref(ptr %result)
  br label %done
done:
  ret i1 %good
}

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1 immarg)

; fail(status, *args), which raises; if it returns, raise here.
define internal void @report(ptr %fail, i64 %status, ptr %args, i64 %count) noinline cold nounwind {
entry:
  %box = alloca ptr
  %number = call ptr @PyLong_FromSsize_t(i64 %status)
  store ptr %number, ptr %box
  %no_number = icmp eq ptr %number, null
  br i1 %no_number, label %done, label %call
call:
  %returned = call i1 @call_with(ptr %fail, ptr %box, i64 1, ptr %args, i64 %count)
  call void @decref(ptr %number)
  br i1 %returned, label %raise, label %done
raise:
  %runtime_error = load ptr, ptr @PyExc_RuntimeError
  %set = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %runtime_error, ptr @message_status, i64 %status)
  br label %done
done:
  ret void
}

; The owned objects as the value of a call: the only one, or a tuple.
define internal ptr @pack(ptr %objects, i64 %count) alwaysinline nounwind {
entry:
  %single = icmp eq i64 %count, 1
  br i1 %single, label %only, label %several, !prof !0
only:
  %object = load ptr, ptr %objects
  ret ptr %object
several:
  %tuple = call ptr @PyTuple_New(i64 %count)
  %failed = icmp eq ptr %tuple, null
  br i1 %failed, label %drop, label %fill
drop:
  call void @decref_all(ptr %objects, i64 %count)
  ret ptr null
fill:
  %offset = load i64, ptr @tuple_items
  %items = getelementptr i8, ptr %tuple, i64 %offset
  %bytes = shl i64 %count, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %items, ptr %objects, i64 %bytes, i1 false)
  ret ptr %tuple
}

; ---------------------------------------------------------------- the call of a plan
define internal ptr @launch(ptr %self, ptr %args, i64 %arg_count) nounwind {
entry:
  %operands = alloca [64 x i64]
  %objects = alloca [64 x ptr]
  %spec_bytes = call ptr @tuple_item(ptr %self, i64 0)
  %spec = call ptr @bytes_of(ptr %spec_bytes)
  %flags_at = getelementptr i64, ptr %spec, i64 4
  %flags = load i64, ptr %flags_at
  %n_out_at = getelementptr i64, ptr %spec, i64 5
  %n_out = load i64, ptr %n_out_at
  %n_in_at = getelementptr i64, ptr %spec, i64 6
  %n_in = load i64, ptr %n_in_at
  %sizes = getelementptr i64, ptr %spec, i64 7
  %kinds = getelementptr i64, ptr %sizes, i64 %n_out
  %in_place_bit = and i64 %flags, 2
  %in_place = icmp ne i64 %in_place_bit, 0
  %given_outputs = select i1 %in_place, i64 %n_out, i64 0
  %expected = add i64 %given_outputs, %n_in
  %count_fits = icmp eq i64 %arg_count, %expected
  br i1 %count_fits, label %inputs, label %wrong_count, !prof !0
wrong_count:
  %type_error = load ptr, ptr @PyExc_TypeError
  %set = call ptr (ptr, ptr, ...) @PyErr_Format(ptr %type_error, ptr @message_count, i64 %expected, i64 %arg_count)
  ret ptr null

inputs:
  %input_args = getelementptr ptr, ptr %args, i64 %given_outputs
  %input_operands = getelementptr i64, ptr %operands, i64 %n_out
  %grad = call i32 @collect_inputs(ptr %input_args, ptr %kinds, i64 %n_in, i64 %given_outputs, ptr %input_operands)
  %inputs_good = icmp sge i32 %grad, 0
  br i1 %inputs_good, label %outputs, label %nothing, !prof !0
outputs:
  br i1 %in_place, label %given, label %new
given:
  %given_good = call i1 @collect_outputs(ptr %args, i64 %n_out, ptr %operands, ptr %objects)
  br i1 %given_good, label %run, label %nothing
new:
  %new_good = call i1 @allocate_outputs(ptr %sizes, i64 %n_out, ptr %operands, ptr %objects)
  br i1 %new_good, label %run, label %nothing, !prof !0

run:
  %unlock_bit = and i64 %flags, 1
  %unlock = icmp ne i64 %unlock_bit, 0
  br i1 %unlock, label %unlocked, label %locked
unlocked:
  %status_unlocked = call i64 @run_unlocked(ptr %spec, ptr %operands, ptr %input_args, ptr %kinds, i64 %n_in)
  br label %ran
locked:
  %status_locked = call i64 @run(ptr %spec, ptr %operands)
  br label %ran
ran:
  %status = phi i64 [ %status_unlocked, %unlocked ], [ %status_locked, %locked ]
  br i1 %in_place, label %written, label %check

written:
  ; After a failure too: the kernel may have written a part.
  call void @bump_versions(ptr %objects, i64 %n_out)
  call void @decref_all(ptr %objects, i64 %n_out)
  %written_good = icmp eq i64 %status, 0
  br i1 %written_good, label %return_first, label %failed_in_place
return_first:
  %first = load ptr, ptr %args
  call void @incref(ptr %first)
  ret ptr %first

check:
  %good = icmp eq i64 %status, 0
  br i1 %good, label %tensors, label %failed, !prof !0
failed:
  call void @decref_all(ptr %objects, i64 %n_out)
  br label %failed_in_place
failed_in_place:
  %fail = call ptr @tuple_item(ptr %self, i64 3)
  call void @report(ptr %fail, i64 %status, ptr %args, i64 %arg_count)
  ret ptr null

tensors:
  %made = call i1 @make_tensors(ptr %self, i64 %n_out, ptr %objects)
  br i1 %made, label %gradient, label %drop, !prof !0
gradient:
  %needed = icmp ne i32 %grad, 0
  br i1 %needed, label %mode, label %return
mode:
  %enabled = call i64 @grad_mode()
  %enabled_now = icmp ne i64 %enabled, 0
  br i1 %enabled_now, label %record, label %return
record:
  %record_callable = call ptr @tuple_item(ptr %self, i64 2)
  %no_record = icmp eq ptr %record_callable, @_Py_NoneStruct
  br i1 %no_record, label %return, label %call_record
call_record:
  %recorded = call i1 @call_with(ptr %record_callable, ptr %objects, i64 %n_out, ptr %args, i64 %arg_count)
  br i1 %recorded, label %return, label %drop
return:
  %result = call ptr @pack(ptr %objects, i64 %n_out)
  ret ptr %result
drop:
  call void @decref_all(ptr %objects, i64 %n_out)
  ret ptr null
nothing:
  ret ptr null
}

define internal void @bump_versions(ptr %storages, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %one ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %storage_at = getelementptr ptr, ptr %storages, i64 %i
  %storage = load ptr, ptr %storage_at
  %version_at = getelementptr %Storage, ptr %storage, i32 0, i32 3
  %version = load i64, ptr %version_at
  %bumped = add i64 %version, 1
  store i64 %bumped, ptr %version_at
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

; ---------------------------------------------------------------- the call of a view
; self = (spec: i64 byte offset, layout, record): a Tensor on the same storage, moved by the offset.
define internal ptr @view(ptr %self, ptr %tensor) nounwind {
entry:
  %address = alloca i64
  %box = alloca ptr
  %arg = alloca ptr
  %good = call i1 @tensor_address(ptr %tensor, i64 0, ptr %address)
  br i1 %good, label %make, label %nothing, !prof !0
make:
  %is_current = call i1 @current(ptr %tensor)
  br i1 %is_current, label %move, label %nothing, !prof !0
move:
  %spec_bytes = call ptr @tuple_item(ptr %self, i64 0)
  %spec = call ptr @bytes_of(ptr %spec_bytes)
  %offset = load i64, ptr %spec
  %start = load i64, ptr %address
  %moved = add i64 %start, %offset
  %layout = call ptr @tuple_item(ptr %self, i64 1)
  %storage = call ptr @storage_of(ptr %tensor)
  %out = call ptr @tensor_new(ptr %layout, ptr %storage, i64 %moved)
  %failed = icmp eq ptr %out, null
  br i1 %failed, label %nothing, label %base, !prof !1
base:
  %based = call i1 @set_base(ptr %out, ptr %tensor)
  br i1 %based, label %gradient, label %drop, !prof !0
gradient:
  %needed = call i1 @needs_grad(ptr %tensor)
  br i1 %needed, label %mode, label %return
mode:
  %enabled = call i64 @grad_mode()
  %enabled_now = icmp ne i64 %enabled, 0
  br i1 %enabled_now, label %record, label %return
record:
  %record_callable = call ptr @tuple_item(ptr %self, i64 2)
  %no_record = icmp eq ptr %record_callable, @_Py_NoneStruct
  br i1 %no_record, label %return, label %call_record
call_record:
  store ptr %out, ptr %box
  store ptr %tensor, ptr %arg
  %recorded = call i1 @call_with(ptr %record_callable, ptr %box, i64 1, ptr %arg, i64 1)
  br i1 %recorded, label %return, label %drop
return:
  ret ptr %out
drop:
  call void @decref(ptr %out)
  br label %nothing
nothing:
  ret ptr null
}
