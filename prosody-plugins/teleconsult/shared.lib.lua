-- Equal tables of rights kept once. Thousands of people have the same dozen sets of rights; a table for each of them took
-- more memory than all else we keep of a person. Whoever changes somebody's rights gives them another table. Pure.

local shared = {};

local function forgetful()
	return setmetatable({}, { __mode = "v" }); -- with the last person who has it
end

-- A function that returns, for a list of names, the one kept set of them. The same names in another order make another set.
function shared.sets()
	local kept = forgetful();
	return function (names)
		local key = table.concat(names, " ");
		local set = kept[key];
		if not set then
			set = {};
			for _, name in ipairs(names) do set[name] = true; end
			kept[key] = set;
		end
		return set;
	end
end

-- A function that returns, for a flat table of rights, the one kept table that equals it.
function shared.new()
	local kept = forgetful();
	return function (rights)
		if type(rights) ~= "table" then return rights; end
		local names = {};
		for name, value in pairs(rights) do
			-- with the type: a token may say "true" where it means true
			names[#names + 1] = tostring(name) .. "=" .. type(value) .. tostring(value);
		end
		table.sort(names);
		local key = table.concat(names, " ");
		kept[key] = kept[key] or rights;
		return kept[key];
	end
end

return shared;
