local token = dofile("teleconsult/token.lib.lua");

-- base64 and JSON are Prosody's; here a part is base64url of a key into this table
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

local function base64_decode(text)
	if #text % 4 ~= 0 then return nil; end
	local bits, bytes = "", {};
	for character in text:gsub("=", ""):gmatch(".") do
		local value = alphabet:find(character, 1, true) - 1;
		for shift = 5, 0, -1 do bits = bits .. (value >> shift & 1); end
	end
	for octet in bits:gmatch("%d%d%d%d%d%d%d%d") do bytes[#bytes + 1] = string.char(tonumber(octet, 2)); end
	return table.concat(bytes);
end

local objects = { ["head"] = { alg = "RS256" }; ["body"] = { room = "r" } };
local deps = { base64_decode = base64_decode; json_decode = function (text) return objects[text]; end };
local HEAD, BODY, SIGNATURE = "aGVhZA", "Ym9keQ", "-_-_"; -- "head", "body", FB FF BF

describe("token.parse", function ()
	it("separates the parts", function ()
		local parsed = token.parse(deps, HEAD .. "." .. BODY .. "." .. SIGNATURE);
		assert.equal(objects.head, parsed.header);
		assert.equal(objects.body, parsed.claims);
		assert.equal(HEAD .. "." .. BODY, parsed.signed);
		assert.equal("\xFB\xFF\xBF", parsed.signature);
	end);

	it("leaves an empty or unreadable signature nil", function ()
		assert.is_nil(token.parse(deps, HEAD .. "." .. BODY .. ".").signature);
		assert.is_nil(token.parse(deps, HEAD .. "." .. BODY .. ".a+b/").signature);
	end);

	it("misses what is not there", function ()
		assert.equal("token-missing", select(2, token.parse(deps, nil)));
		assert.equal("token-missing", select(2, token.parse(deps, "")));
	end);

	for name, text in pairs({
		["two parts"] = HEAD .. "." .. BODY; ["four parts"] = HEAD .. "." .. BODY .. ".c.d";
		["plain base64"] = "aGVhZA==." .. BODY .. ".c"; ["a body that is no object"] = HEAD .. ".YWFhYQ.c";
		["an overlong text"] = HEAD .. "." .. BODY .. "." .. ("a"):rep(9000);
	}) do
		it("cannot read " .. name, function ()
			assert.equal("token-malformed", select(2, token.parse(deps, text)));
		end);
	end
end);

describe("token.check_header", function ()
	local function check(changes)
		local header = { alg = "RS256"; typ = "JWT"; kid = "key" };
		for key, value in pairs(changes) do header[key] = value or nil; end
		return token.check_header(header);
	end

	it("accepts RS256 only", function ()
		assert.is_nil(check({}));
		for _, algorithm in ipairs({ "none", "HS256", "RS512", "ES256", "rs256", "" }) do
			assert.equal("token-algorithm", check({ alg = algorithm }));
		end
		assert.equal("token-algorithm", check({ alg = false }));
	end);

	it("needs type and key id", function ()
		assert.equal("token-malformed", check({ typ = "at+jwt" }));
		assert.equal("token-key", check({ kid = false }));
		assert.equal("token-key", check({ kid = "" }));
		assert.equal("token-key", check({ kid = 7 }));
		assert.equal("token-key", check({ kid = ("k"):rep(129) }));
	end);
end);

describe("token.check_claims", function ()
	local expected = { issuer = "iss"; audience = "aud"; domain = "meet"; now = 1000 };

	local function check(changes)
		local claims = {
			iss = "iss"; aud = "aud"; sub = "meet"; room = "r"; jti = "j"; nbf = 990; exp = 1010;
			context = { user = { id = "p" } };
		};
		for key, value in pairs(changes) do claims[key] = value or nil; end
		return token.check_claims(claims, expected);
	end

	it("accepts a good token, also one for any domain", function ()
		assert.is_nil(check({}));
		assert.is_nil(check({ sub = "*" }));
		assert.is_nil(check({ nbf = 1000; exp = 1000.5 }));
	end);

	for code, list in pairs({
		["token-expired"] = { { exp = 1000 }, { exp = false }, { exp = "9999" } };
		["token-not-yet-valid"] = { { nbf = 1001 }, { nbf = false }, { nbf = "1" } };
		["token-issuer"] = { { iss = "other" }, { iss = false } };
		["token-audience"] = { { aud = "other" }, { aud = { "aud" } }, { aud = false } };
		["token-domain"] = { { sub = "other" }, { sub = false } };
		["token-room"] = { { room = "" }, { room = false }, { room = 5 } };
		["token-user"] = { { context = false }, { context = {} }, { context = { user = "p" } }, { jti = false } };
	}) do
		it("refuses with " .. code, function ()
			for _, changes in ipairs(list) do
				assert.equal(code, check(changes));
				assert.matches("^" .. code:gsub("%-", "%%-") .. ": %u", token.text(code));
			end
		end);
	end
end);
