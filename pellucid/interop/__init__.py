"""Where Pellucid meets other libraries' programs and memory."""
