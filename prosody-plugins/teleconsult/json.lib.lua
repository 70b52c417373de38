-- JSON by lua-cjson, which Jitsi's own modules ask for, too. Prosody's util.json is written in Lua; with it, JSON took a third to
-- a half of what we add to a join. It still writes what may hold an empty list: here that becomes {}. Whole numbers come as
-- floats on Lua 5.4 (and are written without a fraction).
-- decode and encode return nil and a reason when they cannot.

local json = require "cjson.safe".new();

json.decode_invalid_numbers(false); -- no NaN, no hexadecimal: they are not JSON

return { decode = json.decode; encode = json.encode };
