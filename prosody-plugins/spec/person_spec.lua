local person = dofile("teleconsult/person.lib.lua");

local function claims(changes)
	local all = {
		room = "r"; jti = "t"; exp = 100;
		context = { user = { id = "p"; name = "N"; affiliation = "owner" }; features = { ["send-groupchat"] = true } };
		teleconsult = { role = "doctor"; session = "s"; link = "l" };
	};
	for key, value in pairs(changes or {}) do all[key] = value or nil; end
	return all;
end

local function session(changes)
	local all = { auth_token = "text"; jitsi_meet_room = "r"; jitsi_meet_context_user = { id = "p" } };
	for key, value in pairs(changes or {}) do all[key] = value or nil; end
	return all;
end

local function people(decoded)
	local world = { decoded = 0 };
	world.people = person.new({ claims_of = function ()
		world.decoded = world.decoded + 1;
		return decoded;
	end });
	return world.people, world;
end

describe("person.of", function ()
	it("is who the check has proved", function ()
		local who = people(claims()).of(session());
		assert.same({
			participant_id = "p"; token_id = "t"; token_room = "r"; link_id = "l";
			affiliation = "owner"; may_chat = true; expires = 100;
		}, who);
	end);

	it("knows no name", function ()
		assert.is_nil(people(claims()).of(session()).name);
	end);

	it("decodes a token once, and a new one again", function ()
		local them, world = people(claims());
		local one = session();
		them.of(one);
		them.of(one);
		assert.equal(1, world.decoded);
		one.auth_token = "newer";
		them.of(one);
		assert.equal(2, world.decoded);
	end);

	it("does not decode what a check has just shown", function ()
		local them, world = people(nil);
		local one = session();
		them.remember(one, claims());
		assert.equal("p", them.of(one).participant_id);
		assert.equal(0, world.decoded);
	end);

	for name, case in pairs({
		["nobody checked the token"] = { session({ jitsi_meet_context_user = false }), claims() };
		["the check was about another person"] = { session({ jitsi_meet_context_user = { id = "q" } }), claims() };
		["the check was about another room"] = { session({ jitsi_meet_room = "x" }), claims() };
		["there is no token"] = { session({ auth_token = false }), claims() };
		["the token is not ours"] = { session(), claims({ jti = false }) };
		["the token cannot be read"] = { session(), nil };
		["there is no user in the token"] = { session(), claims({ context = false }) };
	}) do
		it("is nobody when " .. name, function ()
			assert.is_nil((people(case[2]).of(case[1])));
		end);
	end

	it("has an empty link id without our claims", function ()
		assert.equal("", people(claims({ teleconsult = false })).of(session()).link_id);
	end);
end);

describe("person.system_check", function ()
	local admins = { items = function () return next, { ["focus@focus.meet"] = true }; end };
	local is_system = person.system_check(admins, "recorder.meet");

	it("knows focus and recorder", function ()
		assert.is_true(is_system("focus@focus.meet/focus"));
		assert.is_true(is_system("any@recorder.meet/x"));
		assert.is_true(is_system("recorder.meet"));
		assert.is_false(is_system("any@other-recorder.meet/x"));
		assert.is_false(is_system("uuid@meet/x@recorder.meet"));
		assert.is_false(is_system(nil));
		assert.is_false(is_system("focus@meet/focus"));
		assert.is_false(is_system("uuid@meet/x"));
	end);

	it("says the same of the same address", function ()
		for _ = 1, 2 do assert.is_true(is_system("focus@focus.meet/focus")); end
		for _ = 1, 2 do assert.is_false(is_system("uuid@meet/x")); end
		assert.is_false(is_system(nil));
	end);

	it("works without a hidden domain", function ()
		assert.is_false(person.system_check(admins, nil)("any@recorder.meet/x"));
	end);
end);

describe("person.is_health_check", function ()
	it("goes by the name", function ()
		assert.is_true(person.is_health_check("__jicofo-health-check-abc"));
		assert.is_false(person.is_health_check("room"));
		assert.is_false(person.is_health_check(nil));
	end);
end);
