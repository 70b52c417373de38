local json = dofile("teleconsult/json.lib.lua");

describe("json", function ()
	it("reads what it wrote", function ()
		local told = { text = "ä \"/\\\n", on = true, list = { "a", "b" }, inner = { half = 0.5 } };
		assert.same(told, json.decode(json.encode(told)));
	end);

	it("writes whole numbers that it read as whole numbers", function ()
		local read = json.decode('{"capacity":10}');
		assert.equal(10, read.capacity);
		assert.equal('{"capacity":10}', json.encode(read));
	end);

	it("keeps milliseconds", function ()
		assert.equal('{"at":1764239012.123}', json.encode({ at = 1764239012.123 }));
	end);

	for _, wrong in ipairs({ "", "{", "{} x", "{'a':1}", '{"a":NaN}', '{"a":0x10}', '{"a":Infinity}', ("["):rep(2000) }) do
		it("takes no " .. wrong:sub(1, 20), function ()
			local value, reason = json.decode(wrong);
			assert.is_nil(value);
			assert.is_string(reason);
		end);
	end

	it("says that something cannot be written", function ()
		local text, reason = json.encode({ call = print });
		assert.is_nil(text);
		assert.is_string(reason);
	end);
end);
