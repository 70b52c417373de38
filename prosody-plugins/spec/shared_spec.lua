local shared = dofile("teleconsult/shared.lib.lua");

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
