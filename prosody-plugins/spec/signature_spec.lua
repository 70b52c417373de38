local signature = dofile("teleconsult/signature.lib.lua");

local function identity(text) return text; end

-- not a real MAC, but one that depends on all it must depend on
local function fake_mac(key, text) return key .. "<" .. text .. ">"; end

local function signer(key)
	return signature.new({
		key = key; hmac_sha256 = fake_mac; base64_encode = identity;
		equals = function (a, b) return a == b; end;
	});
end

local function answer(question, timestamp, body, key)
	local id = question .. ".answer";
	local mac = signer(key or "k").sign(id, timestamp, body):gsub("%s", "");
	return { ["webhook-id"] = id; ["webhook-timestamp"] = timestamp; ["webhook-signature"] = mac };
end

describe("signature.key", function ()
	local long = ("a"):rep(32);

	it("takes the secret as it is written in settings", function ()
		assert.equal(long, signature.key(long, identity));
		assert.equal(long, signature.key("whsec_" .. long, identity));
		assert.equal(long, signature.key(" whsec_" .. long .. " , whsec_other", identity));
	end);

	it("refuses what is too short or not base64", function ()
		assert.is_nil(signature.key("whsec_abc", identity));
		assert.is_nil(signature.key("", identity));
		assert.is_nil(signature.key(long, function () return nil; end));
	end);
end);

describe("signature", function ()
	it("signs id, time and body together", function ()
		assert.equal("v1,k<id.100.body>", signer("k").sign("id", "100", "body"));
	end);

	it("accepts its own answer, also among other signatures", function ()
		local headers = answer("id", "100", "body");
		assert.is_true(signer("k").check("id", headers, "body", 100));
		headers["webhook-signature"] = "v1,old v1,k<id.answer.100.body>";
		assert.is_true(signer("k").check("id", headers, "body", 100));
	end);

	local reflected = { ["webhook-id"] = "id"; ["webhook-timestamp"] = "100"; ["webhook-signature"] = "v1,k<id.100.body>" };
	local cases = {
		{ "its own question sent back", reflected, "body", 100, "answer to another request" };
		{ "another body", answer("id", "100", "body"), "changed", 100, "signature" };
		{ "another key", answer("id", "100", "body", "x"), "body", 100, "signature" };
		{ "the answer to another request", answer("other", "100", "body"), "body", 100, "answer to another request" };
		{ "an old answer", answer("id", "100", "body"), "body", 401, "timestamp" };
		{ "an answer from the future", answer("id", "500", "body"), "body", 100, "timestamp" };
		{ "a time that is no number", answer("id", "soon", "body"), "body", 100, "timestamp" };
		{ "no signature at all", {}, "body", 100, "unsigned" };
	};
	for _, case in ipairs(cases) do
		it("refuses " .. case[1], function ()
			local ok, reason = signer("k").check("id", case[2], case[3], case[4]);
			assert.is_false(ok);
			assert.equal(case[5], reason);
		end);
	end
end);
