-- Text from outside that goes into a stanza. Prosody writes it as it is, and one character that XML does not allow ends the
-- stream of everybody who receives it. Pure.

-- XML 1.0 (fifth edition), 2.2: no control characters but tab and line ends, neither U+FFFE nor U+FFFF.
local FORBIDDEN = { "[\0-\8\11\12\14-\31]", "\239\191[\190\191]" };

local text = {};

function text.is_xml(value)
	if not utf8.len(value) then return false; end
	for _, pattern in ipairs(FORBIDDEN) do
		if value:find(pattern) then return false; end
	end
	return true;
end

-- At most so many bytes of valid UTF-8, and no half character at the end.
function text.cut(value, bytes)
	if #value <= bytes then return value; end
	return value:sub(1, utf8.offset(value, 0, bytes + 1) - 1);
end

return text;
