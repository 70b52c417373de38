local api = dofile("teleconsult/api.lib.lua");

local function fixture()
	local world = { timers = {}; checked = true };
	world.api = api.new({
		url = "http://api"; timeout = 5;
		signer = {
			sign = function (id, timestamp, body) return table.concat({ "signed", id, timestamp, body }, " "); end;
			check = function () return world.checked, "signature"; end;
		};
		request = function (url, options, done)
			world.url, world.options, world.answer = url, options, done;
			return { cancel = function () world.cancelled = true; end };
		end;
		timer = function (seconds, callback) table.insert(world.timers, { seconds, callback }); end;
		now = function () return 1000; end;
		uuid = function () return "id-1"; end;
		encode = function (message) return "encoded " .. message.n; end;
		decode = function (body) return body == "{}" and { fine = true } or nil; end;
	});
	world.results = {};
	world.api.post("/path", { n = "1" }, function (...) table.insert(world.results, { ... }); end);
	return world;
end

local answered = { headers = {} };

describe("api.post", function ()
	it("sends a signed JSON body", function ()
		local world = fixture();
		assert.equal("http://api/path", world.url);
		assert.equal("encoded 1", world.options.body);
		assert.equal("id-1", world.options.headers["webhook-id"]);
		assert.equal("1000", world.options.headers["webhook-timestamp"]);
		assert.equal("signed id-1 1000 encoded 1", world.options.headers["webhook-signature"]);
	end);

	it("hands over a signed answer", function ()
		local world = fixture();
		world.answer("{}", 200, answered);
		assert.same({ { { fine = true } } }, world.results);
	end);

	for name, case in pairs({
		["a failed connection"] = { { nil, 0 }, "no connection" };
		["an error status"] = { { "{}", 503, answered }, "status 503" };
		["a redirection"] = { { "{}", 302, answered }, "status 302" };
		["something that is not JSON"] = { { "<html>", 200, answered }, "not JSON" };
	}) do
		it("takes " .. name .. " for no answer", function ()
			local world = fixture();
			world.answer(table.unpack(case[1], 1, 3));
			assert.same({ { nil, case[2] } }, world.results);
		end);
	end

	it("takes an answer with a wrong signature for no answer", function ()
		local world = fixture();
		world.checked = false;
		world.answer("{}", 200, answered);
		assert.same({ { nil, "signature" } }, world.results);
	end);

	it("gives up after the timeout, once, and closes the connection", function ()
		local world = fixture();
		assert.equal(5, world.timers[1][1]);
		world.timers[1][2]();
		world.answer("{}", 200, answered);
		assert.same({ { nil, "timeout" } }, world.results);
		assert.is_true(world.cancelled);
	end);

	it("does nothing at the timeout when it was answered", function ()
		local world = fixture();
		world.answer("{}", 200, answered);
		world.timers[1][2]();
		assert.equal(1, #world.results);
		assert.is_nil(world.cancelled);
	end);
end);
