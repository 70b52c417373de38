local door = dofile("teleconsult/door.lib.lua");

local ROOM = "room@muc.meet";
local WHO = { participant_id = "p"; link_id = "l"; token_id = "t"; token_room = "room"; expires = 1000; affiliation = "member" };
local YES = {
	allow = true; participant_id = "p"; affiliation = "member"; host = false; capacity = 3; permissions = {}; consented = false;
};
local NO = { allow = false; code = "too-early" };

local function kept()
	local entries = {};
	return { get = function (_, key) return entries[key]; end; set = function (_, key, value) entries[key] = value; end };
end

-- A door whose questions are answered by hand: world.asked[n].done(answer, reason).
local function fixture(changes)
	local world = { asked = {}; at = 100 };
	world.state = { generation = 0; kept_out = kept(); ended = kept() };
	local deps = {
		state = world.state; when_down = "closed"; capacity = 10;
		questions = { ask = function (_, question, done, spare_s)
			table.insert(world.asked, { stage = question.stage; room = question.room; done = done; spare_s = spare_s });
		end };
		-- a client's thread: what it waits for comes when the test answers
		wait_for = function (start)
			start(function (...) world.answered = table.pack(...); end);
			if not world.answered then coroutine.yield(); end
			local answered = world.answered;
			world.answered = nil;
			return table.unpack(answered, 1, answered.n);
		end;
		now = function () return 500; end;
		monotonic = function () return world.at; end;
		node_of = function (jid) return (jid:match("^[^@]+")); end;
		log = function () end;
		recorded_room = function () return world.recorded; end;
		is_banned = function () return world.is_banned or false; end;
	};
	for name, value in pairs(changes or {}) do deps[name] = value; end
	world.door = door.new(deps);
	-- Runs fn in a thread of its own; world.policy is what it returns, once it does.
	function world.run(fn)
		world.policy = nil;
		local thread = coroutine.create(function () world.policy = fn(); end);
		function world.go_on() assert(coroutine.resume(thread)); end
		world.go_on();
	end
	function world.answer(number, answer, reason)
		world.asked[number].done(answer, reason);
		if world.answered then world.go_on(); end
	end
	function world.request(early)
		world.run(function () return world.door:answer(early, WHO, ROOM); end);
	end
	return world;
end

describe("a door", function ()
	it("opens by the API's word, which is marked with when and for whom it was said", function ()
		local world = fixture();
		world.run(function () return world.door:ask("join", WHO, ROOM); end);
		assert.equal("join", world.asked[1].stage);
		assert.is_nil(world.asked[1].spare_s);
		world.answer(1, YES);
		assert.is_true(world.policy.allow);
		assert.is_true(world.door:is_current(world.policy, WHO, ROOM));
		assert.is_false(world.door:is_current(world.policy, WHO, "other@muc.meet"));
		world.at = 102;
		assert.is_false(world.door:is_current(world.policy, WHO, ROOM));
	end);

	it("does not take an answer for current that a command has overtaken", function ()
		local world = fixture();
		world.run(function () return world.door:ask("join", WHO, ROOM); end);
		world.state.generation = 1;
		world.answer(1, YES);
		assert.is_false(world.door:is_current(world.policy, WHO, ROOM));
	end);

	it("stays closed while the API says nothing", function ()
		local world = fixture();
		world.run(function () return world.door:ask("join", WHO, ROOM); end);
		world.answer(1, nil, "timeout");
		assert.same({ false, "unavailable", true }, { world.policy.allow, world.policy.code, world.policy.is_local });
	end);

	it("opens by the token then, where that is wanted, but not against the API's last word", function ()
		local world = fixture({ when_down = "token" });
		local function try(answer, reason)
			world.run(function () return world.door:ask("join", WHO, ROOM); end);
			world.answer(#world.asked, answer, reason);
			return world.policy;
		end
		assert.is_true(try(nil, "timeout").allow);
		assert.equal("removed", try({ allow = false; code = "removed" }).code);
		assert.equal("unavailable", try(nil, "timeout").code);
		try(YES);
		assert.is_true(try(nil, "timeout").allow);
		try({ allow = false; code = "session-ended" });
		assert.equal("session-ended", try(nil, "timeout").code);
	end);

	it("keeps out who has not agreed, while a recorder is in the room, and who is banned", function ()
		local world = fixture();
		world.recorded = {};
		world.run(function () return world.door:ask("join", WHO, ROOM); end);
		world.answer(1, YES);
		assert.equal("consent-missing", world.policy.code);
		assert.is_true(world.door:is_current(world.policy, WHO, ROOM));
		world.recorded, world.is_banned = nil, true;
		world.run(function () return world.door:ask("join", WHO, ROOM); end);
		world.answer(2, YES);
		assert.equal("banned", world.policy.code);
	end);
end);

describe("an early answer", function ()
	it("is asked for without haste, and serves the conference request", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		assert.equal("login", world.asked[1].stage);
		assert.is_true(world.asked[1].spare_s > 0);
		world.answer(1, YES);
		world.request(early);
		assert.is_true(world.policy.allow);
		assert.equal(1, #world.asked);
	end);

	it("is waited for when it is on its way", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		world.request(early);
		assert.is_nil(world.policy);
		world.answer(1, YES);
		assert.is_true(world.policy.allow);
		assert.equal(1, #world.asked);
	end);

	for name, spoil in pairs({
		["is too old"] = function (world) world.at = 102; end;
		["was overtaken by a command"] = function (world) world.state.generation = 1; end;
	}) do
		it("does not count when it " .. name, function ()
			local world = fixture();
			local early = world.door:ask_early(WHO, ROOM);
			world.answer(1, YES);
			spoil(world);
			world.request(early);
			assert.equal("conference", world.asked[2].stage);
			world.answer(2, NO);
			assert.equal("too-early", world.policy.code);
		end);
	end

	it("does not count when it is a no, which nobody has been told yet", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		world.request(early);
		world.answer(1, NO);
		assert.equal("conference", world.asked[2].stage);
		world.answer(2, YES);
		assert.is_true(world.policy.allow);
	end);

	it("does not count for another room", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, "other@muc.meet");
		world.request(early);
		assert.same({ "other", "room" }, { world.asked[1].room, world.asked[2].room });
		world.answer(2, NO);
		assert.equal("too-early", world.policy.code);
	end);

	it("meets this Prosody's own rules when it is used, not when it came", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		world.answer(1, YES);
		world.is_banned = true;
		world.request(early);
		assert.equal("banned", world.policy.code);
	end);

	it("that failed before is asked for again", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		world.answer(1, nil, "no connection");
		world.request(early);
		world.answer(2, YES);
		assert.is_true(world.policy.allow);
	end);

	it("that fails while the client waits is not asked for again: they have waited long enough", function ()
		local world = fixture();
		local early = world.door:ask_early(WHO, ROOM);
		world.request(early);
		world.answer(1, nil, "timeout");
		assert.equal("unavailable", world.policy.code);
		assert.equal(1, #world.asked);
	end);

	it("need not be there", function ()
		local world = fixture();
		world.request(nil);
		assert.equal("conference", world.asked[1].stage);
		world.answer(1, YES);
		assert.is_true(world.policy.allow);
	end);
end);
