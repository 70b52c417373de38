-- One signed question to the API and its signed answer. An unsigned or wrongly signed answer is no answer.
-- Pure: HTTP, clock, timer and ids are handed in.

local api = {};

local function header_table(signer, id, now, body)
	local timestamp = ("%d"):format(now);
	return {
		["Content-Type"] = "application/json";
		["webhook-id"] = id;
		["webhook-timestamp"] = timestamp;
		["webhook-signature"] = signer.sign(id, timestamp, body);
	};
end

-- deps: url, timeout (s), signer, request (Prosody's net.http), timer(seconds, fn), now() (unix s), uuid(), encode, decode
function api.new(deps)
	local function read(id, body, code, response)
		if code == 0 then return nil, "no connection"; end
		if code < 200 or code > 299 then return nil, "status " .. tostring(code); end
		local ok, reason = deps.signer.check(id, response.headers, body, deps.now());
		if not ok then return nil, reason; end
		local answer = deps.decode(body);
		if type(answer) ~= "table" then return nil, "not JSON"; end
		return answer;
	end

	-- Calls done(answer) or done(nil, reason) exactly once, at the latest after the timeout.
	local function post(path, message, done)
		local id, body = deps.uuid(), deps.encode(message);
		local finished, request = false;
		local function finish(answer, reason)
			if finished then return; end
			finished = true;
			done(answer, reason);
		end
		request = deps.request(deps.url .. path, {
			method = "POST"; body = body;
			headers = header_table(deps.signer, id, deps.now(), body);
		}, function (answer, code, response)
			if finished then return; end
			finish(read(id, answer, code, response));
		end);
		if finished then return; end
		deps.timer(deps.timeout, function ()
			if finished then return; end
			finish(nil, "timeout");
			-- net.http never gives up by itself: without this a hanging API would collect open sockets
			if request and request.cancel then request:cancel("timeout"); end
		end);
	end

	return { post = post };
end

return api;
