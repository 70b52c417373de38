local events = dofile("teleconsult/events.lib.lua");
local occupancy = dofile("teleconsult/occupancy.lib.lua");

describe("events", function ()
	local shapes, state, record;
	before_each(function ()
		local ids = 0;
		shapes = events.new({
			uuid = function () ids = ids + 1; return "id-" .. ids; end;
			now = function () return 12.34567; end;
			next_seq = occupancy.next_seq;
		});
		state = occupancy.new("instance");
		record = {
			participant_id = "p"; nick = "r@muc/nick"; connection = "c"; jid = "uuid@meet/x"; joined_at = 1; policy = {};
		};
	end);

	it("tell a moderator's deed", function ()
		local event = shapes:deed("participant.muted", "r", state, "by", { participant_id = "p"; media = "audio" });
		assert.same({
			id = "id-1"; type = "participant.muted"; seq = 1; room = "r"; room_instance = "instance"; at = 12.346;
			by = "by"; participant_id = "p"; media = "audio";
		}, event);
	end);

	it("carry ids only", function ()
		assert.same({
			id = "id-1"; type = "participant.joined"; seq = 1; room = "r"; room_instance = "instance"; at = 12.346;
			participant_id = "p"; occupant = "nick"; connection = "c";
		}, shapes:joined("r", state, record));
	end);

	it("are numbered per room", function ()
		assert.equal(1, shapes:room("created", "r", state).seq);
		assert.equal(2, shapes:joined("r", state, record).seq);
		local left = shapes:left("r", state, record, "kicked");
		assert.same({ 3, "kicked", "participant.left" }, { left.seq, left.reason, left.type });
		assert.equal(1, shapes:room("created", "r", occupancy.new("next")).seq);
	end);

	it("tell of refusals without a room or a person", function ()
		assert.same({
			id = "id-1"; type = "participant.refused"; seq = 0; room = ""; at = 12.346; participant_id = ""; code = "token-key";
		}, shapes:refused("", nil, nil, "token-key"));
	end);

	it("open a run without room or number", function ()
		assert.same({ id = "id-1"; type = "server.started"; at = 12.346 }, shapes:server_started());
	end);

	it("shorten the name of a connection", function ()
		assert.equal(("h"):rep(16), events.connection("jid", function () return ("h"):rep(64); end));
	end);
end);
