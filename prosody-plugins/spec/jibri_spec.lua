local jibri = dofile("teleconsult/jibri.lib.lua");

local function presence(attr)
	return { get_child = function (_, name, xmlns)
		return attr and name == "jibri-recording-status" and xmlns == jibri.XMLNS and { attr = attr } or nil;
	end };
end

describe("jibri.leaves_the_house", function ()
	it("lets a file be recorded, which is also what no mode means", function ()
		assert.is_false(jibri.leaves_the_house({ attr = { action = "start" } }));
		assert.is_false(jibri.leaves_the_house({ attr = { recording_mode = "file" } }));
	end);

	it("sees a broadcast and a telephone bridge", function ()
		assert.is_true(jibri.leaves_the_house({ attr = { recording_mode = "stream" } }));
		assert.is_true(jibri.leaves_the_house({ attr = { recording_mode = "file"; streamid = "rtmp://x" } }));
		assert.is_true(jibri.leaves_the_house({ attr = { sipaddress = "a@b" } }));
	end);
end);

describe("jibri.status", function ()
	it("reads what the focus says", function ()
		assert.same({ status = "off"; session_id = "s"; failure = "busy" },
			jibri.status(presence({ status = "off"; session_id = "s"; failure_reason = "busy" })));
	end);

	it("takes nothing else for a status", function ()
		assert.is_nil(jibri.status(presence(nil)));
		assert.is_nil(jibri.status(presence({ status = "undefined" })));
		assert.is_nil(jibri.status(presence({})));
	end);

	it("is told once", function ()
		local said = { status = "on"; session_id = "s" };
		assert.is_true(jibri.same(said, { status = "on"; session_id = "s" }));
		assert.is_false(jibri.same(said, { status = "on"; session_id = "t" }));
		assert.is_false(jibri.same(said, { status = "on"; session_id = "s"; failure = "error" }));
		assert.is_false(jibri.same(said, nil));
	end);
end);

describe("jibri.covers", function ()
	it("is about people, and in no order", function ()
		assert.is_true(jibri.covers({ "a"; "b" }, { "b"; "a" }));
		assert.is_true(jibri.covers({ "a"; "b" }, { "b" }));
		assert.is_false(jibri.covers({ "a" }, { "a"; "b" }));
	end);

	it("covers nobody whom nobody knows", function ()
		assert.is_false(jibri.covers({ "" }, { "" }));
	end);
end);

describe("jibri.overtaken", function ()
	local function overtaken(changes)
		local given = { alive = true; stopped = false; before = { "a" }; now = { "a" } };
		for key, value in pairs(changes) do given[key] = value; end
		return { jibri.overtaken(given) };
	end

	it("is nothing when the room is as it was", function ()
		assert.same({}, overtaken({}));
	end);

	it("is a stop, whose recording must not begin after it", function ()
		assert.same({ "stopped"; "not-requested" }, overtaken({ stopped = true }));
	end);

	it("is somebody who came in, and the end of the room", function ()
		assert.same({ "newcomer"; "consent-missing" }, overtaken({ now = { "a"; "b" } }));
		assert.same({ "unavailable"; "no-conference" }, overtaken({ alive = false; now = {} }));
	end);
end);

describe("jibri.keeps_out", function ()
	it("lets the focus in, and whoever has to show a token", function ()
		assert.is_nil(jibri.keeps_out({ is_system = true; is_focus = true }, nil));
		assert.is_nil(jibri.keeps_out({ is_system = false }, "id"));
	end);

	it("lets a recorder in while one is allowed", function ()
		assert.is_nil(jibri.keeps_out({ is_system = true; is_recorder = true }, "id"));
		assert.equal("recording-not-allowed", jibri.keeps_out({ is_system = true; is_recorder = true }, nil));
	end);

	it("lets no other account of an administrator in, recorded or not", function ()
		assert.equal("no-token", jibri.keeps_out({ is_system = true }, nil));
		assert.equal("no-token", jibri.keeps_out({ is_system = true }, "id"));
	end);
end);

describe("jibri.reason and jibri.code", function ()
	it("put others' words into ours", function ()
		assert.equal("busy", jibri.reason("resource-constraint"));
		assert.equal("no-recorder", jibri.reason("service-unavailable"));
		assert.equal("error", jibri.reason("internal-server-error"));
		assert.equal("error", jibri.reason(nil));
		assert.equal("consent-missing", jibri.code("consent-missing"));
		assert.equal("unavailable", jibri.code({}));
		assert.equal("unavailable", jibri.code("A B"));
	end);
end);
