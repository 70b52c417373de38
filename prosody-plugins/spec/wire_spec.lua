local wire = dofile("teleconsult/wire.lib.lua");

local function new_conn()
	return {
		written = {};
		write = function (self, data) table.insert(self.written, data); end;
		close = function (self)
			self.closed = true;
			self.listener.ondisconnect(self);
		end;
	};
end

local function fixture()
	local world = { attempts = {}; answers = {} };
	world.wire = wire.new({ prefix = "http://api:80"; authority = "api:80" }, {
		connect = function (listener, data) table.insert(world.attempts, { listener = listener, data = data }); end;
		new_parser = function (on_response, on_error)
			return { feed = function (_, data)
				if data == "garbage" then on_error(); else on_response(data); end
			end };
		end;
	});
	function world.post(path)
		return world.wire:request("http://api:80" .. path, { body = "{}"; headers = { ["x-y"] = "z" } },
			function (...) table.insert(world.answers, { ... }); end);
	end
	-- the latest attempt succeeds
	function world.established()
		local attempt, conn = world.attempts[#world.attempts], new_conn();
		conn.listener = attempt.listener;
		attempt.listener.onattach(conn, attempt.data);
		attempt.listener.onconnect(conn);
		return conn;
	end
	return world;
end

local function response(body, changes)
	local all = { code = 200; body = body; httpversion = "1.1"; headers = {} };
	for key, value in pairs(changes or {}) do all[key] = value; end
	return all;
end

local function receive(conn, data)
	conn.listener.onincoming(conn, data);
end

describe("wire", function ()
	it("writes a request and hands over the answer", function ()
		local world = fixture();
		world.post("/a?b");
		local conn = world.established();
		assert.matches("^POST /a%?b HTTP/1%.1\r\nHost: api:80\r\nContent%-Length: 2\r\nx%-y: z\r\n\r\n{}$", conn.written[1]);
		local answer = response("yes");
		receive(conn, answer);
		assert.same({ { "yes", 200, answer } }, world.answers);
	end);

	it("uses a connection again, but for one request at a time", function ()
		local world = fixture();
		world.post("/1");
		local conn = world.established();
		world.post("/2");
		assert.equal(2, #world.attempts);
		receive(conn, response("one"));
		world.post("/3");
		assert.equal(2, #world.attempts);
		assert.equal(2, #conn.written);
	end);

	it("closes when the server wants to", function ()
		for _, changes in ipairs({ { headers = { connection = "Close" } }, { httpversion = "1.0" } }) do
			local world = fixture();
			world.post("/1");
			local conn = world.established();
			receive(conn, response("one", changes));
			assert.is_true(conn.closed);
			assert.equal(1, #world.answers);
			world.post("/2");
			assert.equal(2, #world.attempts);
		end
	end);

	it("waits for the end of an answer in pieces", function ()
		local world = fixture();
		world.post("/1");
		local conn = world.established();
		receive(conn, response(nil, { partial = true }));
		assert.equal(0, #world.answers);
		receive(conn, response("whole"));
		assert.equal("whole", world.answers[1][1]);
	end);

	it("says 0 when there is no connection, or it breaks", function ()
		local world = fixture();
		local request = world.post("/1");
		world.attempts[1].listener.onfail(request, "refused");
		world.post("/2");
		world.established():close();
		world.post("/3");
		receive(world.established(), "garbage");
		assert.same({ { nil, 0 }, { nil, 0 }, { nil, 0 } }, world.answers);
	end);

	it("asks once more when a kept connection was already closing", function ()
		local world = fixture();
		world.post("/1");
		local conn = world.established();
		receive(conn, response("one"));
		world.post("/2");
		conn:close();
		assert.equal(1, #world.answers);
		receive(world.established(), response("two"));
		assert.equal("two", world.answers[2][1]);
		assert.equal(2, #world.answers);
	end);

	it("forgets an idle connection that closes, and closes one that speaks unasked", function ()
		local world = fixture();
		world.post("/1");
		local conn = world.established();
		receive(conn, response("one"));
		receive(conn, response("what?"));
		assert.is_true(conn.closed);
		world.post("/2");
		assert.equal(2, #world.attempts);
	end);

	it("closes and stays silent when cancelled", function ()
		local world = fixture();
		local request = world.post("/1");
		local conn = world.established();
		request:cancel("timeout");
		assert.is_true(conn.closed);
		assert.equal(0, #world.answers);
		assert.equal(1, #world.attempts);
	end);
end);

describe("wire.target", function ()
	it("reads plain URLs only", function ()
		assert.same({ prefix = "http://a.b:81"; authority = "a.b:81"; host = "a.b"; port = 81 }, wire.target("http://a.b:81/x"));
		assert.equal(80, wire.target("http://a.b").port);
		assert.equal("::1", wire.target("http://[::1]:8080").host);
		assert.is_nil(wire.target("https://a.b"));
		assert.is_nil(wire.target("http://user:pass@a.b"));
	end);
end);
