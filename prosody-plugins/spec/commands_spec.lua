local commands = dofile("teleconsult/commands.lib.lua");

describe("commands.check", function ()
	it("takes what each command needs", function ()
		assert.same({ room = "abc"; participant_id = "p"; reason = "r"; ban = true },
			commands.check("kick", { room = "abc"; participant_id = "p"; reason = "r"; ban = true; other = 1 }));
		assert.same({ room = "abc" }, commands.check("end", { room = "abc" }));
		assert.same({}, commands.check("rooms", {}));
		local mute = { room = "abc"; media = "desktop"; except = { "p" }; moderators = true };
		assert.same(mute, commands.check("mute", mute));
		local moderated = { room = "abc"; audio = true; video = false; audio_allowed = { "p" } };
		assert.same(moderated, commands.check("av_moderation", moderated));
	end);

	it("takes null for absent", function ()
		assert.same({ room = "abc"; text = "t" }, commands.check("message", { room = "abc"; text = "t"; participant_id = {} }));
	end);

	for name, case in pairs({
		["no object"] = { "rooms", "text", "JSON object" };
		["no room"] = { "end", {}, "room" };
		["a room with an at sign"] = { "end", { room = "a@b" }, "room" };
		["a room in capitals"] = { "end", { room = "ABC" }, "room" };
		["nobody to kick"] = { "kick", { room = "abc" }, "participant_id" };
		["a ban that is no boolean"] = { "kick", { room = "abc"; participant_id = "p"; ban = "yes" }, "ban" };
		["an affiliation nobody may get"] = { "affiliate", { room = "abc"; participant_id = "p"; affiliation = "outcast" }, "affiliation" };
		["rights that are no yes or no"] = { "affiliate",
			{ room = "abc"; participant_id = "p"; affiliation = "member"; permissions = { chat = "no" } }, "permissions" };
		["a ban until no moment"] = { "kick", { room = "abc"; participant_id = "p"; ban_until = "soon" }, "ban_until" };
		["a medium nobody has"] = { "mute", { room = "abc"; media = "smell" }, "media" };
		["asking for a screen"] = { "unmute", { room = "abc"; media = "desktop"; participant_id = "p" }, "media" };
		["sparing what is no id"] = { "mute", { room = "abc"; media = "audio"; except = { 1 } }, "except" };
		["moderation that is no yes or no"] = { "av_moderation", { room = "abc"; audio = true; video = "no" }, "video" };
		["an empty text"] = { "message", { room = "abc"; text = "" }, "text" };
		["a text XML does not allow"] = { "message", { room = "abc"; text = "a\239\191\190" }, "text" };
		["a reason XML does not allow"] = { "end", { room = "abc"; reason = "a\1" }, "reason" };
		["an endless text"] = { "message", { room = "abc"; text = ("x"):rep(4001) }, "text" };
	}) do
		it("refuses " .. name, function ()
			local args, problem = commands.check(case[1], case[2]);
			assert.is_nil(args);
			assert.matches(case[3], problem, 1, true);
		end);
	end
end);
