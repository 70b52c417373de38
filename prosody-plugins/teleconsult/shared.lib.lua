-- Equal tables of rights kept once. Thousands of people have the same dozen sets of rights; a table for each of them took
-- more memory than all else we keep of a person. Whoever changes somebody's rights gives them another table. Pure.

local shared = {};

-- A function that returns, for a flat table of rights, the one kept table that equals it.
function shared.new()
	local kept = setmetatable({}, { __mode = "v" }); -- forgotten with the last person who has it
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
