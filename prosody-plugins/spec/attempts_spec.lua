local attempts = dofile("teleconsult/attempts.lib.lua");

describe("attempts", function ()
	local told, due, tried, now;

	before_each(function ()
		told, due, now = {}, {}, 0;
		local function clock() return now; end
		tried = attempts.new({ entries = {}; now = clock; timer = function (_, callback) table.insert(due, callback); end });
	end);

	local function try(times, key)
		for _ = 1, times do
			tried:add(key or "a", function (count) table.insert(told, count); end);
		end
	end

	local function the_minute_is_over()
		local callbacks = due;
		due = {};
		for _, callback in ipairs(callbacks) do callback(); end
	end

	it("are told one by one while they are few", function ()
		try(attempts.BURST);
		the_minute_is_over();
		assert.same({ 1, 1, 1, 1, 1 }, told);
	end);

	it("are told one by one up to the number that is given", function ()
		for _ = 1, 9 do tried:add("a", function (count) table.insert(told, count); end, 7); end
		the_minute_is_over();
		assert.same({ 1, 1, 1, 1, 1, 1, 1, 2 }, told);
	end);

	it("are told again when a reload took the end of their minute along", function ()
		try(attempts.BURST + 3);
		due, now = {}, 3 * attempts.WINDOW;
		try(1);
		the_minute_is_over();
		assert.same({ 1, 1, 1, 1, 1, 1, 3 }, told);
	end);

	it("are told as one number when they are a flood", function ()
		try(attempts.BURST + 200);
		assert.equal(attempts.BURST, #told);
		the_minute_is_over();
		assert.same({ 1, 1, 1, 1, 1, 200 }, told);
	end);

	it("are told one by one again afterwards, and nothing is kept", function ()
		try(attempts.BURST + 1);
		the_minute_is_over();
		assert.same({}, tried.entries);
		try(1);
		assert.same({ 1, 1, 1, 1, 1, 1, 1 }, told);
	end);

	it("of one person and kind do not hide another's", function ()
		try(attempts.BURST + 1);
		try(1, "b");
		assert.equal(attempts.BURST + 1, #told);
		assert.equal(2, #due);
	end);
end);
