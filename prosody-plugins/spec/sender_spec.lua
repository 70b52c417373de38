local sender = dofile("teleconsult/sender.lib.lua");

local function fixture(limit, queue)
	local world = { posts = {}; timers = {}; logged = {}; queue = queue or sender.new_queue() };
	world.sender = sender.new({
		queue = world.queue; limit = limit or 100; source = "run";
		post = function (batch, done) table.insert(world.posts, { batch = batch, done = done }); end;
		timer = function (seconds, callback) table.insert(world.timers, { seconds = seconds, fire = callback }); end;
		log = function (...) table.insert(world.logged, string.format(select(2, ...), select(3, ...))); end;
	});
	function world.tick() return table.remove(world.timers, 1).fire(); end
	function world.push(first, last)
		for number = first, last or first do world.sender:push({ id = number }); end
	end
	function world.sent(index)
		local ids = {};
		for _, event in ipairs(world.posts[index].batch.events) do table.insert(ids, event.id); end
		return ids;
	end
	return world;
end

local function range(first, last)
	local numbers = {};
	for number = first, last do table.insert(numbers, number); end
	return numbers;
end

describe("sender", function ()
	it("gathers a burst into one request, in order", function ()
		local world = fixture();
		world.push(1, 3);
		assert.equal(1, #world.timers);
		world.tick();
		assert.same({ 1, 2, 3 }, world.sent(1));
		assert.equal("run", world.posts[1].batch.source);
	end);

	it("has one batch on the wire and gathers anew when it is taken", function ()
		local world = fixture(400);
		world.push(1, 120);
		world.tick();
		world.push(121, 122);
		assert.equal(1, #world.posts);
		assert.same(range(1, 100), world.sent(1));
		world.posts[1].done(true);
		assert.equal(1, #world.posts);
		world.push(123);
		world.tick();
		assert.same(range(101, 123), world.sent(2));
		world.posts[2].done(true);
		assert.equal(0, sender.length(world.queue));
	end);

	it("sends at once what fills a batch of its own", function ()
		local world = fixture(400);
		world.push(1, 220);
		world.tick();
		world.posts[1].done(true);
		assert.same(range(101, 200), world.sent(2));
		world.posts[2].done(true);
		assert.equal(2, #world.posts);
		world.tick();
		assert.same(range(201, 220), world.sent(3));
	end);

	it("gathers for longer in a burst, and only then", function ()
		local world = fixture();
		local waited = {};
		for _, number in ipairs({ 8, 9, 60, 59, 1 }) do
			world.push(1, number);
			table.insert(waited, world.timers[1].seconds);
			world.tick();
			world.posts[#world.posts].done(true);
		end
		assert.same({ 0.03, 0.03, 0.2, 0.2, 0.03 }, waited);
	end);

	it("does not wait out a pause when the API is seen to be back", function ()
		local world = fixture();
		world.push(1);
		world.sender:wake(); -- nothing was refused
		assert.equal(0, #world.posts);
		world.tick();
		world.posts[1].done(false);
		world.sender:wake();
		assert.same({ 1 }, world.sent(2));
		world.posts[2].done(true);
		world.tick(); -- the pause that was cut short
		assert.equal(2, #world.posts);
	end);

	it("is woken once, and then pauses as before", function ()
		local world = fixture();
		world.push(1);
		world.tick();
		world.posts[1].done(false);
		world.sender:wake();
		world.posts[2].done(false);
		world.sender:wake();
		assert.equal(2, #world.posts);
		world.tick();
		world.tick();
		assert.equal(3, #world.posts);
		world.posts[3].done(true);
		world.push(2);
		world.tick();
		world.posts[4].done(false);
		world.sender:wake();
		assert.equal(5, #world.posts);
	end);

	it("starts again after it was idle", function ()
		local world = fixture();
		world.push(1);
		world.tick();
		world.posts[1].done(true);
		world.push(2);
		world.tick();
		assert.same({ 2 }, world.sent(2));
	end);

	it("repeats the same events, ever more slowly, until they are taken", function ()
		local world = fixture();
		world.push(1, 2);
		world.tick();
		local waited = {};
		for attempt = 1, 7 do
			world.posts[attempt].done(false);
			table.insert(waited, world.timers[1].seconds);
			world.tick();
			assert.same({ 1, 2 }, world.sent(attempt + 1));
		end
		assert.same({ 0.5, 1, 2, 4, 8, 10, 10 }, waited);
		world.posts[8].done(true);
		world.push(3);
		world.tick();
		world.posts[9].done(false);
		assert.equal(0.5, world.timers[1].seconds);
	end);

	it("drops the oldest when it is full, counts them and says so once", function ()
		local world = fixture(5);
		world.push(1, 8);
		world.tick();
		assert.same({ 4, 5, 6, 7, 8 }, world.sent(1));
		assert.equal(3, world.queue.dropped);
		assert.equal(1, #world.logged);
		assert.matches("^5 room events", world.logged[1]);
	end);

	it("does not forget what came while a batch with since dropped events was on the wire", function ()
		local world = fixture(5);
		world.push(1, 3);
		world.tick();
		world.push(4, 7);
		world.posts[1].done(true);
		world.tick();
		assert.same({ 4, 5, 6, 7 }, world.sent(2));
	end);

	it("takes refusals only while half of the queue is free, and makes none it does not take", function ()
		local world, made = fixture(4), 0;
		local function make() made = made + 1; return { id = "refused" }; end
		assert.is_true(world.sender:push_if_roomy(make));
		assert.is_true(world.sender:push_if_roomy(make));
		assert.is_false(world.sender:push_if_roomy(make));
		assert.equal(2, made);
	end);

	it("leaves the queue to its successor", function ()
		local first = fixture();
		first.push(1, 2);
		first.sender:stop();
		first.tick();
		assert.equal(0, #first.posts);
		local second = fixture(100, first.queue);
		second.sender:start();
		second.tick();
		assert.same({ 1, 2 }, second.sent(1));
	end);
end);
