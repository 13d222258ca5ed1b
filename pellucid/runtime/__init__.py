"""What kernels run on: LLVM and its cache, memory, threads, BLAS, random streams."""
