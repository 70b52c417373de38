-- The little of Prosody that pure libraries use: how they find each other.
_G.module = {
	require = function (_, name) return dofile(name .. ".lib.lua"); end;
};
