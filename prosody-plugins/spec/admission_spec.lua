local admission = dofile("teleconsult/admission.lib.lua");
local occupancy = dofile("teleconsult/occupancy.lib.lua");

local function good_answer(changes)
	local answer = {
		allow = true; participant_id = "p"; session_id = "s"; role = "doctor"; affiliation = "owner";
		host = true; capacity = 3; permissions = { "moderate", "chat" };
	};
	for key, value in pairs(changes or {}) do answer[key] = value; end
	return answer;
end

describe("admission.read", function ()
	it("makes a policy of an allowing answer", function ()
		local policy = admission.read(good_answer(), "p");
		assert.is_true(policy.allow);
		assert.equal("owner", policy.affiliation);
		assert.same({ moderate = true; chat = true }, policy.permissions);
	end);

	it("takes nobody for consenting of whom it is not said", function ()
		assert.is_false(admission.read(good_answer(), "p").consented);
		assert.is_false(admission.read(good_answer({ consented = "yes" }), "p").consented);
		assert.is_true(admission.read(good_answer({ consented = true }), "p").consented);
	end);

	it("believes that there are no files only when it is said", function ()
		assert.is_false(admission.read(good_answer(), "p").no_files);
		assert.is_false(admission.read(good_answer({ files = true }), "p").no_files);
		local policy = admission.read(good_answer({ files = false }), "p");
		assert.is_true(policy.no_files);
		assert.is_true(admission.kept(policy).no_files);
	end);

	it("keeps code and text of a refusal", function ()
		assert.same({ allow = false; code = "too-early"; text = "Later." },
			admission.read({ allow = false; code = "too-early"; text = "Later." }, "p"));
	end);

	for name, changes in pairs({
		["about somebody else"] = { participant_id = "q" };
		["with an unknown affiliation"] = { affiliation = "admin" };
		["without a host flag"] = { host = "yes" };
		["without room for anybody"] = { capacity = 0 };
		["with half a person's capacity"] = { capacity = 1.5 };
		["with permissions that are no list"] = { permissions = "all" };
		["that neither allows nor refuses"] = { allow = "true" };
	}) do
		it("does not trust an answer " .. name, function ()
			assert.is_nil(admission.read(good_answer(changes), "p"));
		end);
	end

	it("does not pass on a text that would break a client's stream", function ()
		assert.same({ allow = false; code = "removed" },
			admission.read({ allow = false; code = "removed"; text = "Gone\239\191\191" }, "p"));
	end);

	it("does not pass on a refusal without a proper code", function ()
		assert.is_nil(admission.read({ allow = false }, "p"));
		assert.is_nil(admission.read({ allow = false; code = "<x/>" }, "p"));
	end);
end);

describe("admission.while_recorded", function ()
	it("lets nobody in who has not agreed, whatever the service knows of the recorder", function ()
		assert.same({ allow = false; code = "consent-missing"; is_local = true },
			admission.while_recorded({ allow = true; consented = false }));
	end);

	it("leaves all other answers as they are", function ()
		for _, policy in ipairs({
			{ allow = true; consented = true }; { allow = true; is_local = true }; { allow = false; code = "removed" };
		}) do
			assert.equal(policy, admission.while_recorded(policy));
		end
	end);
end);

describe("admission.from_token", function ()
	local function person(changes)
		local who = { participant_id = "p"; token_room = "room"; expires = 200; affiliation = "owner" };
		for key, value in pairs(changes or {}) do who[key] = value; end
		return who;
	end

	it("lets owners in as hosts and everybody else as members", function ()
		local owner = admission.from_token(person(), "room", 100, 10);
		assert.same({ true, "owner", true, 10 }, { owner.allow, owner.affiliation, owner.host, owner.capacity });
		local member = admission.from_token(person({ affiliation = "anything" }), "room", 100, 10);
		assert.same({ true, "member", false }, { member.allow, member.affiliation, member.host });
	end);

	it("lets chat who may by the token, and nobody end", function ()
		assert.same({ moderate = true; chat = true }, admission.from_token(person({ may_chat = true }), "room", 100, 10).permissions);
		local member = person({ affiliation = "member"; may_chat = false });
		assert.same({ moderate = false; chat = false }, admission.from_token(member, "room", 100, 10).permissions);
	end);

	it("refuses an expired token and one for another room", function ()
		assert.equal("token-expired", admission.from_token(person(), "room", 200, 10).code);
		assert.equal("wrong-room", admission.from_token(person(), "other", 100, 10).code);
		assert.equal("wrong-room", admission.from_token(person({ token_room = "*" }), "room", 100, 10).code);
	end);
end);

describe("admission.usable", function ()
	local answer = { room = "r@muc"; token_id = "t"; at = 100 };

	it("is about the same room and token, and young", function ()
		assert.is_true(admission.usable(answer, "r@muc", "t", 2, 101.9));
		assert.is_false(admission.usable(answer, "r@muc", "t", 2, 102));
		assert.is_false(admission.usable(answer, "x@muc", "t", 2, 100));
		assert.is_false(admission.usable(answer, "r@muc", "u", 2, 100));
		assert.is_false(admission.usable(nil, "r@muc", "t", 2, 100));
	end);
end);

describe("admission.judge", function ()
	local nobody_live = function () return nil; end

	local function room(...)
		local state = occupancy.new("instance");
		for index, record in ipairs({ ... }) do
			record.nick = record.nick or "r@muc/" .. index;
			record.policy = record.policy or { host = false };
			occupancy.add(state, record);
		end
		return state;
	end

	local host = { participant_id = "host"; policy = { host = true } };
	local me = { participant_id = "me"; token_id = "t1" };
	local guest_policy = { host = false; capacity = 3 };

	it("lets a host into an empty room, and nobody else", function ()
		assert.is_nil(admission.judge({ host = true; capacity = 1 }, me, room(), nobody_live));
		assert.equal("waiting-for-host", admission.judge(guest_policy, me, room(), nobody_live));
		assert.is_nil(admission.judge(guest_policy, me, room(host), nobody_live));
	end);

	it("does not take one's own older connection for the host one waits for", function ()
		local old = { participant_id = "me"; policy = { host = true } };
		assert.equal("waiting-for-host", admission.judge(guest_policy, me, room(old), nobody_live));
	end);

	it("counts others only, so a full room can be re-entered", function ()
		local full = room(host, { participant_id = "a" }, { participant_id = "b" });
		assert.equal("full", admission.judge(guest_policy, me, full, nobody_live));
		local mine = room(host, { participant_id = "a" }, { participant_id = "me" });
		assert.is_nil(admission.judge(guest_policy, me, mine, nobody_live));
	end);

	it("refuses the same token on a second connection while the first one answers", function ()
		local state = room(host, { participant_id = "me" });
		assert.equal("already-connected", admission.judge(guest_policy, me, state, function () return "t1"; end));
		assert.is_nil(admission.judge(guest_policy, me, state, function () return "t0"; end));
		assert.is_nil(admission.judge(guest_policy, me, state, nobody_live));
	end);
end);
