local rights = dofile("teleconsult/rights.lib.lua");

-- as much of a stanza as is looked at
local function with(...)
	local tags = {};
	for _, name in ipairs({ ... }) do table.insert(tags, { name = name; attr = {} }); end
	return { tags = tags };
end

describe("rights.against_message", function ()
	for _, name in ipairs({ "body", "html" }) do
		it("lets only who may chat send a " .. name, function ()
			assert.is_nil(rights.against_message(with(name), { chat = true }, "participant"));
			assert.equal("chat-not-allowed", rights.against_message(with("x", name), { moderate = true }, "moderator"));
		end);
	end

	it("lets clients tell each other what is no chat", function ()
		assert.is_nil(rights.against_message(with("json-message"), {}, "participant"));
		assert.is_nil(rights.against_message(with(), {}, "participant"));
	end);

	it("leaves the subject to moderators, also beside a body", function ()
		assert.is_nil(rights.against_message(with("subject"), {}, "moderator"));
		assert.equal("not-moderator", rights.against_message(with("subject"), { chat = true }, "participant"));
		assert.equal("not-moderator", rights.against_message(with("body", "subject"), { chat = true }, "participant"));
	end);
end);

describe("rights.against_query", function ()
	it("leaves it to moderators", function ()
		assert.is_nil(rights.against_query(with("item"), {}, "moderator"));
		assert.is_nil(rights.against_query(with("x"), {}, "moderator"));
		assert.same({ "not-moderator", "configuration" }, { rights.against_query(with("x"), {}, "participant") });
		assert.equal("not-moderator", rights.against_query(with("x"), { end_session = true }, "participant"));
		assert.equal("not-moderator", rights.against_query(with("x"), {}, nil));
	end);

	it("says what was tried", function ()
		for act, attr in pairs({ kick = { role = "none" }; affiliation = { affiliation = "owner" }; role = { role = "visitor" } }) do
			local query = { tags = { { name = "item"; attr = attr } } };
			assert.same({ "not-moderator", act }, { rights.against_query(query, {}, "participant") });
		end
		assert.same({ "end-not-allowed", "end" }, { rights.against_query(with("destroy"), {}, "participant") });
	end);

	it("leaves destroying the room to who may end the session", function ()
		assert.is_nil(rights.against_query(with("destroy"), { end_session = true }, "moderator"));
		assert.equal("end-not-allowed", rights.against_query(with("destroy"), { moderate = true }, "moderator"));
		assert.equal("end-not-allowed", rights.against_query(with("x", "destroy"), {}, "moderator"));
	end);
end);
