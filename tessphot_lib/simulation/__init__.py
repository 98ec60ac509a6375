"""A fake sector with known truth: for the demo, the tests and the benchmarks.

It shares no code with what it judges: PRF, diffuse light, noise, WCS and file
format are its own. `scene.build_scene` gives the truth, with functions to ask
for it; `render.Renderer` makes images of it, `ffi_file` and `truth_file` write
them. `schedule` says which images there are, and is light to import.
"""
