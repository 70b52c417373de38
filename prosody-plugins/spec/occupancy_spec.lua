local occupancy = dofile("teleconsult/occupancy.lib.lua");

local function record(nick, participant_id)
	return { nick = nick; participant_id = participant_id; policy = { host = false } };
end

describe("occupancy", function ()
	local state;
	before_each(function () state = occupancy.new("instance"); end);

	it("numbers from one", function ()
		assert.equal(1, occupancy.next_seq(state));
		assert.equal(2, occupancy.next_seq(state));
	end);

	it("counts people once", function ()
		occupancy.add(state, record("r/a", "p"));
		occupancy.add(state, record("r/a", "p"));
		occupancy.add(state, record("r/b", "q"));
		assert.equal(2, state.count);
		assert.equal("q", occupancy.remove(state, "r/b").participant_id);
		assert.is_nil(occupancy.remove(state, "r/b"));
		assert.equal(1, state.count);
	end);

	it("finds all connections of a person", function ()
		occupancy.add(state, record("r/a", "p"));
		occupancy.add(state, record("r/b", "p"));
		assert.equal(2, #occupancy.of_participant(state, "p"));
	end);

	it("keeps the first reason until the person is gone", function ()
		occupancy.add(state, record("r/a", "p"));
		occupancy.give_reason(state, "r/a", "replaced");
		occupancy.give_reason(state, "r/a", "kicked");
		local _, reason = occupancy.remove(state, "r/a");
		assert.equal("replaced", reason);
		occupancy.add(state, record("r/a", "p"));
		_, reason = occupancy.remove(state, "r/a");
		assert.is_nil(reason);
	end);
end);
