local verdict = dofile("teleconsult/verdict.lib.lua");

local function service_that_answers(answer)
	local service = { state = { generation = 1 }; asked = {} };
	service.api = { post = function (path, message, done)
		service.asked = { path = path; message = message };
		done(answer);
	end };
	function service.wait_for(start)
		local result;
		start(function (...) result = ...; end);
		return result;
	end
	return service;
end

describe("verdict.tell", function ()
	local actor = { participant_id = "doctor" };

	it("tells the service who decided what, and voids older answers", function ()
		local service = service_that_answers({ done = true });
		assert.is_nil(verdict.tell(service, "room", actor, "patient", "admitted"));
		assert.same({
			path = "/internal/rooms/waiting";
			message = { room = "room"; actor_id = "doctor"; participant_id = "patient"; decision = "admitted" };
		}, service.asked);
		assert.equal(2, service.state.generation);
	end);

	it("passes on why it does not hold", function ()
		local service = service_that_answers({ done = false; code = "not_moderator" });
		assert.equal("not-moderator", verdict.tell(service, "room", actor, "patient", "denied"));
		assert.equal(1, service.state.generation);
	end);

	it("decides nothing without the service", function ()
		assert.equal("unavailable", verdict.tell(service_that_answers(nil), "room", actor, "patient", "admitted"));
	end);
end);

describe("verdict.moderator_in", function ()
	local function room(permissions)
		return { teleconsult = { records = { n = { jid = "a@x/1"; policy = { permissions = permissions } } } } };
	end

	it("finds who is inside and may moderate", function ()
		assert.equal("a@x/1", verdict.moderator_in(room({ moderate = true }), "a@x/1").jid);
	end);

	it("finds nobody else", function ()
		assert.is_nil(verdict.moderator_in(room({ chat = true }), "a@x/1"));
		assert.is_nil(verdict.moderator_in(room({ moderate = true }), "a@x/2"));
		assert.is_nil(verdict.moderator_in({}, "a@x/1"));
		assert.is_nil(verdict.moderator_in(nil, "a@x/1"));
	end);
end);
