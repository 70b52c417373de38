local lobby = dofile("teleconsult/lobby.lib.lua");

local ROOM = "r@muc";

local function answer(changes)
	local given = { allow = false; code = "not-admitted"; room = ROOM; token_id = "t"; at = 100 };
	for key, value in pairs(changes or {}) do given[key] = value; end
	return given;
end

local function person(name)
	return { participant_id = name; jid = name .. "@x/1"; nick = "r@lobby/" .. name; connection = "c" };
end

describe("lobby.has_knocked", function ()
	it("knows who was told to wait just now", function ()
		assert.is_true(lobby.has_knocked(answer(), ROOM, "t", 129));
	end);

	for name, wrong in pairs({
		["was not asked about"] = false;
		["was refused for another reason"] = answer({ code = "denied" });
		["was let in"] = answer({ allow = true; code = false });
		["knocked at another room"] = answer({ room = "s@muc" });
		["has another token now"] = answer({ token_id = "u" });
		["knocked long ago"] = answer({ at = 70 });
	}) do
		it("does not let in who " .. name, function ()
			assert.is_false(lobby.has_knocked(wrong or nil, ROOM, "t", 101));
		end);
	end
end);

describe("lobby.may_hear", function ()
	local state = lobby.new();
	lobby.add(state, person("a"));
	lobby.add(state, person("b"));

	it("lets people hear the room and themselves", function ()
		assert.is_true(lobby.may_hear(state, "a@x/1", nil, nil));
		assert.is_true(lobby.may_hear(state, "a@x/1", "r@lobby/a", nil));
	end);

	it("keeps the others from them, also when they have gone or are nobody", function ()
		assert.is_falsy(lobby.may_hear(state, "a@x/1", "r@lobby/b", nil));
		assert.is_falsy(lobby.may_hear(state, "stranger@x/1", "r@lobby/b", nil));
		lobby.remove(state, "r@lobby/a");
		assert.is_falsy(lobby.may_hear(state, "a@x/1", "r@lobby/a", nil));
	end);

	it("lets moderators hear everybody", function ()
		assert.is_truthy(lobby.may_hear(state, "doctor@x/1", "r@lobby/b", {}));
	end);
end);

describe("the people of a lobby", function ()
	it("are found by what is asked for, and forgotten once", function ()
		local state = lobby.new();
		lobby.add(state, person("a"));
		lobby.add(state, person("b"));
		local found = lobby.those(state, function (one) return one.participant_id == "b"; end);
		assert.same({ person("b") }, found);
		assert.same(person("b"), lobby.remove(state, "r@lobby/b"));
		assert.is_nil(lobby.remove(state, "r@lobby/b"));
		assert.same({ person("a") }, lobby.those(state, function () return true; end));
	end);
end);

describe("lobby.denied_nick", function ()
	local function query(...)
		local tags = {};
		for _, attr in ipairs({ ... }) do tags[#tags + 1] = { name = "item"; attr = attr }; end
		return { tags = tags };
	end

	it("reads a kick", function ()
		assert.equal("a", lobby.denied_nick(query({ nick = "a"; role = "none" })));
	end);

	for name, wish in pairs({
		["a role"] = query({ nick = "a"; role = "moderator" });
		["an affiliation"] = query({ nick = "a"; role = "none"; affiliation = "outcast" });
		["a reserved nickname"] = query({ nick = "a"; role = "none"; jid = "a@x" });
		["two at once"] = query({ nick = "a"; role = "none" }, { nick = "b"; role = "none" });
	}) do
		it("reads nothing else: " .. name, function ()
			assert.is_nil(lobby.denied_nick(wish));
		end);
	end

	it("reads nothing out of nothing", function ()
		assert.is_nil(lobby.denied_nick(query()));
	end);
end);
