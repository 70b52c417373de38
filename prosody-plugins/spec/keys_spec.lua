local keys = dofile("teleconsult/keys.lib.lua");

local function fixture()
	local world = { asked = {}; clock = 0; found = {} };
	local store = {};
	world.keys = keys.new({
		url = "http://keys"; now = function () return world.clock; end;
		get = function (url, done) table.insert(world.asked, { url = url, done = done }); end;
		sha256_hex = function (text) return "hash-" .. text; end;
		load = function (pem) return pem ~= "nonsense" and "key of " .. pem or nil; end;
		cache = { get = function (_, k) return store[k]; end; set = function (_, k, v) store[k] = v; end };
	});
	function world.ask(kid)
		world.keys:find(kid, function (key, code) table.insert(world.found, key or code); end);
	end
	return world;
end

describe("keys", function ()
	it("asks for a key once, whoever waits for it, and keeps it", function ()
		local world = fixture();
		world.ask("a");
		world.ask("a");
		assert.equal(1, #world.asked);
		assert.equal("http://keys/hash-a.pem", world.asked[1].url);
		world.asked[1].done("PEM", 200);
		world.ask("a");
		assert.same({ "key of PEM", "key of PEM", "key of PEM" }, world.found);
		assert.equal(1, #world.asked);
	end);

	it("remembers an unknown id for a few seconds only", function ()
		local world = fixture();
		world.ask("x");
		world.asked[1].done("", 404);
		world.ask("x");
		assert.same({ "token-key", "token-key" }, world.found);
		assert.equal(1, #world.asked);
		world.clock = 6;
		world.ask("x");
		assert.equal(2, #world.asked);
	end);

	it("does not use what is no key", function ()
		local world = fixture();
		world.ask("a");
		world.asked[1].done("nonsense", 200);
		world.ask("b");
		world.asked[2].done(("p"):rep(20000), 200);
		assert.equal("token-key", world.found[1]);
		assert.is_not.equal("key of", (world.found[2] or ""):sub(1, 6));
	end);

	it("asks again after a while, and goes on with the old key when the server is down", function ()
		local world = fixture();
		world.ask("a");
		world.asked[1].done("PEM", 200);
		world.clock = 601;
		world.ask("a");
		world.asked[2].done(nil, 0);
		assert.same({ "key of PEM", "key of PEM" }, world.found);
		world.ask("a");
		world.asked[3].done("", 404);
		assert.equal("token-key", world.found[3]);
	end);

	it("is unavailable when it has never seen the key and cannot ask", function ()
		local world = fixture();
		world.ask("a");
		world.asked[1].done(nil, 0);
		assert.same({ "unavailable" }, world.found);
	end);

	it("does not let made-up ids open connections at will", function ()
		local world = fixture();
		for number = 1, 20 do world.ask("kid" .. number); end
		assert.equal(16, #world.asked);
		assert.same({ "unavailable", "unavailable", "unavailable", "unavailable" }, world.found);
	end);
end);
