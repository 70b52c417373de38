-- Sign and check HTTP bodies as the Standard Webhooks specification says: HMAC-SHA256 over "id.timestamp.body".
-- Pure: the hash and base64 functions are handed in, so that the specs run outside Prosody.

-- Question and answer are signed with the same key. The answer's id differs, so that our own question sent back to us, or
-- an answer sent to the API, proves nothing.
local ANSWER = ".answer";
local TOLERANCE = 300; -- seconds an answer's timestamp may differ from our clock

local signature = {};

-- The key bytes of a secret as it is written in settings: base64, optionally with the prefix "whsec_".
-- Several secrets may be given, separated by commas; the first is the current one. Nil when it is not base64.
function signature.key(secret, base64_decode)
	local first = (secret:match("^[^,]+") or ""):gsub("%s+", ""):gsub("^whsec_", "");
	local key = base64_decode(first);
	if not key or #key < 16 then return nil; end
	return key;
end

-- deps: key (bytes), hmac_sha256(key, text) -> bytes, base64_encode, equals(a, b) in constant time
function signature.new(deps)
	local function sign(id, timestamp, body)
		local mac = deps.hmac_sha256(deps.key, id .. "." .. timestamp .. "." .. body);
		return "v1," .. deps.base64_encode(mac);
	end

	-- A header may carry several signatures, separated by spaces, while a secret is being changed.
	local function matches(header, expected)
		for candidate in header:gmatch("%S+") do
			if deps.equals(candidate, expected) then return true; end
		end
		return false;
	end

	-- True, or false and a reason, for what came back to the request `id`.
	local function check(id, headers, body, now)
		local given_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"];
		local header = headers["webhook-signature"];
		if not (given_id and timestamp and header) then return false, "unsigned"; end
		if given_id ~= id .. ANSWER then return false, "answer to another request"; end
		local seconds = tonumber(timestamp);
		if not seconds or math.abs(now - seconds) > TOLERANCE then return false, "timestamp"; end
		if not matches(header, sign(given_id, timestamp, body)) then return false, "signature"; end
		return true;
	end

	return { sign = sign; check = check };
end

return signature;
