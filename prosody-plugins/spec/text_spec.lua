local text = dofile("teleconsult/text.lib.lua");

describe("text.is_xml", function ()
	for name, value in pairs({
		["nothing"] = ""; ["lines"] = "a\tb\r\nc"; ["letters of the world"] = "é 語 😀"; ["markup"] = "<&>";
		["the last before the surrogates"] = "\u{D7FF}"; ["the last allowed of its plane"] = "\u{FFFD}";
		["a noncharacter XML allows"] = "\u{1FFFE}";
	}) do
		it("takes " .. name, function () assert.is_true(text.is_xml(value)); end);
	end

	for name, value in pairs({
		["U+FFFE"] = "a\u{FFFE}b"; ["U+FFFF"] = "\u{FFFF}"; ["a zero byte"] = "a\0"; ["escape"] = "\27[1m";
		["half a character"] = "a\195"; ["a surrogate"] = "\237\160\128"; ["a long form"] = "\192\175";
		["beyond Unicode"] = "\244\144\128\128";
	}) do
		it("refuses " .. name, function () assert.is_false(text.is_xml(value)); end);
	end
end);

describe("text.cut", function ()
	it("keeps what is short enough", function ()
		assert.equal("abc", text.cut("abc", 3));
	end);

	it("leaves no half character", function ()
		assert.equal("ab", text.cut("abc", 2));
		assert.equal("a", text.cut("a語b", 3));
		assert.equal("a語", text.cut("a語b", 4));
	end);
end);
