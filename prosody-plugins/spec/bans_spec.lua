local bans = dofile("teleconsult/bans.lib.lua");

-- Prosody's keyval store; `broken` as when the disk is full
local function disk()
	local store = { kept = {} };
	function store:get(user) return self.kept[user]; end
	function store:set(user, data)
		if self.broken then return nil, "disk full"; end
		self.kept[user] = data;
		return true;
	end
	function store:users() return next, self.kept, nil; end
	return store;
end

describe("bans", function ()
	local store, clock, logged;

	local function run()
		local made = bans.new({
			entries = {}; store = store; ttl = 100; now = function () return clock; end;
			log = function (level) table.insert(logged, level); end;
		});
		made:load();
		return made;
	end

	before_each(function () store, clock, logged = disk(), 1000, {}; end);

	it("hold for who was banned, and for nobody else", function ()
		local made = run();
		made:add("p");
		assert.is_true(made:holds("p"));
		assert.is_false(made:holds("q"));
	end);

	it("hold before they are on the disk", function ()
		local made = run();
		made:hold("p", 1050);
		assert.is_true(made:holds("p"));
		assert.is_nil(store.kept.p);
		made:keep("p");
		assert.same({ expires = 1050 }, store.kept.p);
	end);

	it("outlive this run", function ()
		run():add("p");
		assert.is_true(run():holds("p"));
	end);

	it("end, here and on disk", function ()
		local made = run();
		made:add("p");
		clock = 1099;
		assert.is_true(made:holds("p"));
		clock = 1100;
		assert.is_false(made:holds("p"));
		made:forget_expired();
		assert.same({}, store.kept);
	end);

	it("that ended while the server was down are not loaded", function ()
		run():add("p");
		clock = 1100;
		assert.is_false(run():holds("p"));
		assert.same({}, store.kept);
	end);

	it("for a time end when they were said to", function ()
		local made = run();
		made:add("p", 1010);
		clock = 1009;
		assert.is_true(run():holds("p"));
		clock = 1010;
		assert.is_false(made:holds("p"));
	end);

	it("last longer when given again", function ()
		local made = run();
		made:add("p");
		clock = 1090;
		made:add("p");
		clock = 1150;
		assert.is_true(made:holds("p"));
	end);

	it("hold for this run when they cannot be kept, which is said aloud", function ()
		local made = run();
		store.broken = true;
		made:add("p");
		assert.is_true(made:holds("p"));
		assert.same({ "error" }, logged);
	end);
end);
