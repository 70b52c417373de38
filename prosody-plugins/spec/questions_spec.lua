local questions = dofile("teleconsult/questions.lib.lua");

local function fixture()
	local world = { posts = {}; timers = {}; answers = {} };
	world.questions = questions.new({
		post = function (message, done) table.insert(world.posts, { message = message; done = done }); end;
		timer = function (seconds, callback) table.insert(world.timers, { seconds, callback }); end;
	});
	function world.ask(name, spare_s)
		world.questions:ask(name, function (answer, reason) world.answers[name] = answer or reason; end, spare_s);
	end
	function world.asked(number) return world.posts[number] and world.posts[number].message.questions; end
	return world;
end

describe("questions", function ()
	it("sends the first at once, and what comes meanwhile together", function ()
		local world = fixture();
		for _, name in ipairs({ "a", "b", "c" }) do world.ask(name); end
		assert.same({ "a" }, world.asked(1));
		assert.is_nil(world.asked(2));
		world.posts[1].done({ answers = { { 1 } } });
		assert.same({ "b", "c" }, world.asked(2));
		world.posts[2].done({ answers = { { 2 }, { 3 } } });
		assert.same({ a = { 1 }; b = { 2 }; c = { 3 } }, world.answers);
		world.ask("d");
		assert.same({ "d" }, world.asked(3));
	end);

	it("takes so many and no more", function ()
		local world = fixture();
		for number = 1, 30 do world.ask(("q%d"):format(number)); end
		world.posts[1].done({ answers = { { 1 } } });
		assert.equal(25, #world.asked(2));
		world.posts[2].done(nil, "timeout");
		assert.same({ "q27", "q28", "q29", "q30" }, world.asked(3));
	end);

	it("lets others not wait for an API that is slow", function ()
		local world = fixture();
		world.ask("a");
		world.ask("b");
		assert.equal(0.1, world.timers[1][1]);
		world.timers[1][2]();
		assert.same({ "b" }, world.asked(2));
		world.ask("c");
		world.posts[1].done(nil, "timeout");
		assert.is_nil(world.asked(3)); -- the second is still on its way
		world.posts[2].done({ answers = { { 2 } } });
		assert.same({ "c" }, world.asked(3));
		assert.same({ a = "timeout"; b = { 2 } }, world.answers);
	end);

	it("lets those that have time wait for each other", function ()
		local world = fixture();
		world.ask("a", 0.01);
		world.ask("b", 0.01);
		assert.is_nil(world.asked(1));
		assert.equal(0.01, world.timers[1][1]);
		assert.is_nil(world.timers[2]);
		world.timers[1][2]();
		assert.same({ "a", "b" }, world.asked(1));
		world.ask("c", 0.01);
		world.posts[1].done({ answers = { {}, {} } });
		assert.is_nil(world.asked(2)); -- it still has time
		world.timers[3][2]();
		assert.same({ "c" }, world.asked(2));
	end);

	it("takes those that have time along with one that has none", function ()
		local world = fixture();
		world.ask("a", 0.01);
		world.ask("b");
		assert.same({ "a", "b" }, world.asked(1));
		world.timers[1][2](); -- nothing waits any more
		world.posts[1].done({ answers = { {}, {} } });
		world.ask("c", 0.01);
		assert.is_nil(world.asked(2));
	end);

	it("sends what had time as soon as the way is free, once its time is over", function ()
		local world = fixture();
		world.ask("a");
		world.ask("b", 0.01);
		world.timers[2][2]();
		assert.is_nil(world.asked(2));
		world.posts[1].done({ answers = { {} } });
		assert.same({ "b" }, world.asked(2));
	end);

	it("asks nothing when nothing waits", function ()
		local world = fixture();
		world.ask("a");
		world.timers[1][2]();
		world.posts[1].done({ answers = { { 1 } } });
		assert.equal(1, #world.posts);
	end);

	for name, answer in pairs({
		["no list"] = { answers = "yes" };
		["nothing"] = {};
		["too short a list"] = { answers = {} };
		["a list of something else"] = { answers = { true } };
	}) do
		it("takes " .. name .. " for no answer", function ()
			local world = fixture();
			world.ask("a");
			world.posts[1].done(answer);
			assert.equal("malformed", world.answers.a);
		end);
	end

	it("may be asked again from within an answer", function ()
		local world = fixture();
		world.questions:ask("a", function () world.ask("b"); end);
		world.posts[1].done({ answers = { {} } });
		assert.same({ "b" }, world.asked(2));
		assert.equal(2, #world.posts);
	end);
end);
