local shared = dofile("teleconsult/shared.lib.lua");

describe("shared sets", function ()
	it("keeps the set of the same names once", function ()
		local set_of = shared.sets();
		local set = set_of({ "chat", "moderate" });
		assert.same({ chat = true; moderate = true }, set);
		assert.equal(set, set_of({ "chat", "moderate" }));
	end);

	it("keeps different sets apart", function ()
		local set_of = shared.sets();
		assert.same({ chat = true }, set_of({ "chat" }));
		assert.same({}, set_of({}));
		assert.same({ chat = true; moderate = true }, set_of({ "chat", "moderate" }));
	end);

	it("forgets what nobody has any more", function ()
		local set_of = shared.sets();
		local weak = setmetatable({ set_of({ "chat" }) }, { __mode = "v" });
		collectgarbage();
		assert.is_nil(weak[1]);
	end);
end);

describe("shared", function ()
	it("keeps equal tables once", function ()
		local once = shared.new();
		assert.equal(once({ chat = true; moderate = false }), once({ moderate = false; chat = true }));
	end);

	it("keeps different tables apart", function ()
		local once = shared.new();
		local one = once({ chat = true });
		assert.are_not.equal(one, once({ chat = false }));
		assert.are_not.equal(one, once({ chat = true; moderate = true }));
		assert.are_not.equal(one, once({ chat = "true" }));
	end);

	it("forgets what nobody has any more", function ()
		local once = shared.new();
		local weak = setmetatable({ once({ chat = true }) }, { __mode = "v" });
		collectgarbage();
		assert.is_nil(weak[1]);
	end);

	it("leaves alone what is no table", function ()
		assert.is_nil(shared.new()(nil));
	end);
end);
