local incall = dofile("teleconsult/incall.lib.lua");

-- an element: its attributes, and either its text or its children
local function element(name, attr, content)
	local tags = type(content) == "table" and content or {};
	return {
		name = name; attr = attr or {}; tags = tags;
		get_text = function () return type(content) == "string" and content or ""; end;
	};
end

local function iq(child, type_) return element("iq", { type = type_ or "set" }, { child }); end
local function message(child) return element("message", {}, { child }); end
local function presence(child) return element("presence", {}, { child }); end

-- instead of JSON: the text names a table
local contents = {
	["new"] = { type = "new-poll" }; ["command"] = { command = "new-poll" }; ["answer"] = { type = "answer-poll" };
	["shared"] = { ["a-v0"] = { videoType = "desktop", muted = false } };
	["stopped"] = { ["a-v0"] = { videoType = "desktop", muted = true } };
	["camera"] = { ["a-v0"] = { videoType = "camera" } }; ["odd"] = { "desktop" };
};
local function decode(text) return contents[text]; end

local function source(attr)
	return element("jingle", {}, { element("content", {}, { element("description", {}, { element("source", attr) }) }) });
end

describe("incall.of_iq", function ()
	for _, medium in ipairs({ "audio", "video", "desktop" }) do
		it("knows a mute of " .. medium, function ()
			local mute = element("mute", { xmlns = "http://jitsi.org/jitmeet/" .. medium; jid = "r@m/other" }, "true");
			assert.equal("mute", incall.of_iq(iq(mute)));
			assert.equal(medium, incall.muted_medium(mute));
		end);
	end

	it("knows recording, telephone and a screen that is sent", function ()
		assert.equal("recording", incall.of_iq(iq(element("jibri", { xmlns = "http://jitsi.org/protocol/jibri" }))));
		assert.equal("telephone", incall.of_iq(iq(element("dial", { xmlns = "urn:xmpp:rayo:1" }))));
		assert.equal("screen", incall.of_iq(iq(source({ videoType = "desktop" }))));
	end);

	it("leaves everything else alone", function ()
		assert.is_nil(incall.of_iq(iq(source({ videoType = "camera" }))));
		assert.is_nil(incall.of_iq(iq(element("mute", { xmlns = "urn:other" }))));
		assert.is_nil(incall.of_iq(iq(element("query", { xmlns = "jabber:iq:version" }))));
		assert.is_nil(incall.of_iq(element("iq", { type = "set" }, {})));
		assert.is_nil(incall.of_iq(iq(element("jibri"), "result")));
	end);
end);

describe("incall.of_message", function ()
	for name, act in pairs({
		av_moderation = "av-moderation"; end_conference = "end"; room_metadata = "metadata"; breakout_rooms = "breakout";
		["file-sharing"] = "files"; audio_translation = "transcription";
	}) do
		it("knows " .. name, function () assert.equal(act, incall.of_message(message(element(name)), decode)); end);
	end

	it("knows who makes a poll from who answers one", function ()
		for _, name in ipairs({ "json-message", "polls" }) do
			assert.equal("poll", incall.of_message(message(element(name, {}, "new")), decode));
			assert.equal("poll", incall.of_message(message(element(name, {}, "command")), decode));
			assert.is_nil(incall.of_message(message(element(name, {}, "answer")), decode));
			assert.is_nil(incall.of_message(message(element(name, {}, "no JSON")), decode));
		end
	end);

	it("knows an invitation, and no answer for an order", function ()
		assert.equal("invite", incall.of_message(message(element("x", {}, { element("invite") })), decode));
		assert.is_nil(incall.of_message(message(element("x", {}, { element("decline") })), decode));
		assert.is_nil(incall.of_message(message(element("body", {}, "hello")), decode));
		assert.is_nil(incall.of_message(element("message", { type = "error" }, { element("end_conference") }), decode));
	end);
end);

describe("incall.of_presence", function ()
	it("knows a shared screen, of older and of newer clients", function ()
		assert.equal("screen", incall.of_presence(presence(element("videoType", {}, "desktop")), decode));
		assert.equal("screen", incall.of_presence(presence(element("SourceInfo", {}, "shared")), decode));
	end);

	it("lets a camera and a screen that was stopped pass", function ()
		assert.is_nil(incall.of_presence(presence(element("videoType", {}, "camera")), decode));
		for _, text in ipairs({ "stopped", "camera", "odd", "no JSON" }) do
			assert.is_nil(incall.of_presence(presence(element("SourceInfo", {}, text)), decode));
		end
	end);

	it("knows who asks for a transcription, and who does not any more", function ()
		local name = "jitsi_participant_requestingTranscription";
		assert.equal("transcription", incall.of_presence(presence(element(name, {}, "true")), decode));
		assert.is_nil(incall.of_presence(presence(element(name, {}, "false")), decode));
	end);
end);

describe("incall.against", function ()
	it("leaves to moderators of the room what is theirs", function ()
		for _, act in ipairs({ "mute", "av-moderation", "metadata", "breakout", "invite", "poll" }) do
			assert.is_nil(incall.against(act, {}, "moderator"));
			assert.equal("not-moderator", incall.against(act, { moderate = true }, "participant"));
		end
	end);

	for act, right in pairs({
		["end"] = { "end_session", "end-not-allowed" }; screen = { "share_screen", "screen-not-allowed" };
		files = { "share_files", "files-not-allowed" }; recording = { "request_recording", "recording-not-allowed" };
	}) do
		it("wants its permission for " .. act .. ", whatever the role", function ()
			assert.is_nil(incall.against(act, { [right[1]] = true }, "participant"));
			assert.equal(right[2], incall.against(act, { moderate = true }, "moderator"));
		end);
	end

	it("offers some things to nobody", function ()
		local all = setmetatable({}, { __index = function () return true; end });
		for _, act in ipairs({ "telephone", "transcription" }) do
			assert.equal("not-offered", incall.against(act, all, "moderator"));
		end
	end);
end);

describe("incall.with_true_name", function ()
	local function make(name) return { name = "nick"; text = name }; end

	-- as util.stanza does it
	local function stanza(kind, ...)
		return {
			name = kind; tags = { ... };
			maptags = function (self, change)
				local kept = {};
				for _, child in ipairs(self.tags) do table.insert(kept, change(child)); end
				self.tags = kept;
				return self;
			end;
		};
	end

	it("shows a person under the token's name, whatever their client says", function ()
		local said = stanza("presence", { name = "x" }, { name = "nick"; text = "Dr. House" }, { name = "identity" });
		assert.same({ { name = "x" }, { name = "nick"; text = "Lee" } }, incall.with_true_name(said, "Lee", make).tags);
		assert.same({}, incall.with_true_name(stanza("presence", { name = "nick" }), "", make).tags);
	end);

	it("takes every name off a message", function ()
		local said = stanza("message", { name = "nick" }, { name = "body" }, { name = "display-name" });
		assert.same({ { name = "body" } }, incall.with_true_name(said, "Lee", make).tags);
	end);
end);
