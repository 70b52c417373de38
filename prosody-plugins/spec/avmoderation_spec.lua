local avmoderation = dofile("teleconsult/avmoderation.lib.lua");

describe("avmoderation", function ()
	local room, av, sent, doctor, patient;

	-- a stanza builder of as much as is used
	local st = {
		message = function (attr)
			local stanza = { attr = attr };
			function stanza.tag(self) return self; end
			function stanza.text(self, content) self.content = content; return self; end
			function stanza.up(self) return self; end
			return stanza;
		end;
	};

	local function array()
		return setmetatable({}, { __index = { push = function (self, value) table.insert(self, value); end } });
	end

	local function said(to)
		local found = {};
		for _, stanza in ipairs(sent) do
			if stanza.attr.to == to then table.insert(found, stanza.content); end
		end
		return found;
	end

	before_each(function ()
		sent = {};
		doctor = { nick = "r@m/doctor"; jid = "doctor@h/1"; role = "moderator" };
		patient = { nick = "r@m/patient"; jid = "patient@h/1"; role = "participant" };
		room = { jid = "r@m" };
		function room.each_occupant() return ipairs({ doctor, patient }); end
		av = avmoderation.new({
			st = st; array = array; address = "av.h"; encode = function (content) return content; end;
			send = function (stanza) table.insert(sent, stanza); end;
		});
	end);

	it("tells everybody when it is switched, once", function ()
		assert.is_true(av:switch(room, "audio", true, "r@m/focus"));
		assert.is_false(av:switch(room, "audio", true, "r@m/focus"));
		local told = { type = "av_moderation"; room = "r@m"; enabled = true; actor = "r@m/focus"; mediaType = "audio" };
		assert.same({ told }, said("doctor@h/1"));
		assert.same({ told }, said("patient@h/1"));
		assert.equal("av.h", sent[1].attr.from);
		assert.is_true(avmoderation.is_on(room, "audio"));
		assert.is_false(avmoderation.is_on(room, "video"));
	end);

	it("leaves nothing behind when all is free again", function ()
		av:switch(room, "audio", true, "r@m/focus");
		assert.is_true(av:switch(room, "audio", false, "r@m/focus"));
		assert.is_nil(room.av_moderation);
		assert.is_false(av:switch(room, "audio", false, "r@m/focus"));
	end);

	it("tells the person and the moderators who may speak", function ()
		av:switch(room, "audio", true, "r@m/focus");
		sent = {};
		assert.is_true(av:allow(room, "audio", patient, true));
		assert.is_false(av:allow(room, "audio", patient, true));
		assert.is_true(said("patient@h/1")[1].approved);
		assert.same({ "r@m/patient" }, { table.unpack(said("doctor@h/1")[1].whitelists.audio) });
		sent = {};
		assert.is_true(av:allow(room, "audio", patient, false));
		assert.is_true(said("patient@h/1")[1].removed);
		assert.is_true(said("doctor@h/1")[1].removed);
	end);

	it("has nobody to allow where nothing is moderated, and asks all the same", function ()
		assert.is_false(av:allow(room, "audio", patient, true));
		av:ask(room, "audio", patient);
		assert.same({ { type = "av_moderation"; room = "r@m"; approved = true; mediaType = "audio" } }, said("patient@h/1"));
	end);

	it("tells who comes in what is moderated, and moderators who may speak", function ()
		av:switch(room, "video", true, "r@m/doctor");
		sent = {};
		av:tell_newcomer(room, patient);
		av:tell_newcomer(room, doctor);
		assert.equal(1, #said("patient@h/1"));
		assert.equal(2, #said("doctor@h/1"));
	end);

	it("remembers by person who may speak", function ()
		local state = {};
		assert.is_false(avmoderation.is_allowed(state, "audio", "p"));
		avmoderation.remember(state, "audio", "p", true);
		assert.is_true(avmoderation.is_allowed(state, "audio", "p"));
		assert.is_false(avmoderation.is_allowed(state, "video", "p"));
		avmoderation.remember(state, "audio", "p", false);
		assert.is_false(avmoderation.is_allowed(state, "audio", "p"));
	end);

	it("knows an order that is older than what came meanwhile", function ()
		local state = {};
		assert.is_false(avmoderation.is_overtaken(state, 2));
		assert.is_false(avmoderation.is_overtaken(state, 2)); -- the same again
		assert.is_true(avmoderation.is_overtaken(state, 1));
		assert.is_false(avmoderation.is_overtaken(state, nil)); -- of a service that does not say
		assert.is_false(avmoderation.is_overtaken(state, 3));
	end);
end);
