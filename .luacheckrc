std = "lua54"
codes = true
max_line_length = 140
allow_defined_top = false
read_globals = { "prosody" }
-- Prosody gives every module its own `module`; lifecycle functions are fields of it.
globals = { "module" }
files["prosody-plugins/spec"] = { std = "lua54+busted" }
