local rights = dofile("teleconsult/rights.lib.lua");

-- as much of a stanza as is looked at
local function with(...)
	local tags = {};
	for _, name in ipairs({ ... }) do table.insert(tags, { name = name; attr = {} }); end
	return { tags = tags };
end

describe("rights.against_message", function ()
	for _, name in ipairs({ "body", "html", "reactions" }) do
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

	local function item(attr)
		return { tags = { { name = "item"; attr = attr; tags = {} } } };
	end

	it("lets moderators do to people what Jitsi's clients do, and the service hears of", function ()
		local offered = { { role = "none" }, { affiliation = "owner" }, { affiliation = "member" }, { affiliation = "outcast" } };
		for _, attr in ipairs(offered) do
			assert.is_nil(rights.against_query(item(attr), {}, "moderator", true));
		end
		local others = {
			{ role = "moderator" }, { role = "visitor" }, { affiliation = "admin" }, { role = "none"; affiliation = "admin" },
		};
		for _, attr in ipairs(others) do
			assert.equal("not-offered", (rights.against_query(item(attr), {}, "moderator", true)));
		end
		assert.is_nil(rights.against_query(item({ affiliation = "admin" }), {}, "moderator", false), "a list may be read");
	end);

	local function form(settings)
		local x = { name = "x"; attr = {}; tags = {} };
		for name, text in pairs(settings) do
			local value = { name = "value"; attr = {}; tags = {}; get_text = function () return text; end };
			table.insert(x.tags, { name = "field"; attr = { var = name }; tags = { value } });
		end
		return { tags = { x } };
	end

	it("lets moderators set what Jitsi's clients set, and no more", function ()
		local ours = { FORM_TYPE = "any"; ["muc#roomconfig_roomsecret"] = "s"; ["muc#roomconfig_membersonly"] = "1" };
		assert.is_nil(rights.against_query(form(ours), {}, "moderator", true));
		assert.is_nil(rights.against_query(form({ ["muc#roomconfig_whois"] = "anyone" }), {}, "moderator", true));
		local hidden = form({ ["muc#roomconfig_whois"] = "moderators" });
		assert.equal("not-offered", (rights.against_query(hidden, {}, "moderator", true)));
		for _, name in ipairs({ "muc#roomconfig_persistentroom", "muc#roomconfig_publicroom", "muc#roomconfig_moderatedroom" }) do
			assert.equal("not-offered", (rights.against_query(form({ [name] = "1" }), {}, "moderator", true)), name);
		end
	end);
end);
