local shelf = dofile("teleconsult/shelf.lib.lua");

local function file(id, more)
	local one = {
		id = id; name = "Rash.JPG"; size_bytes = 7; shared_at = 1; shared_by = "patient"; shared_by_name = "A patient";
		permission = "see_images"; pending = false;
	};
	for name, value in pairs(more or {}) do one[name] = value; end
	return one;
end

local function person(id, ...)
	local permissions = {};
	for _, name in ipairs({ ... }) do permissions[name] = true; end
	return { participant_id = id; policy = { permissions = permissions } };
end

local function on_shelf(...)
	return shelf.read({ files = { ... } });
end

local function ids(added)
	local found = {};
	for _, one in ipairs(added) do found[#found + 1] = one.id; end
	return found;
end

describe("what the service answers", function ()
	it("is files by their ids", function ()
		assert.equal("b", on_shelf(file("a"), file("b")).b.id);
		assert.same({}, on_shelf());
	end);

	it("is nothing when one of them says not enough", function ()
		assert.is_nil(shelf.read({}));
		assert.is_nil(on_shelf(file("a"), file("")));
		assert.is_nil(on_shelf(file("a", { permission = 7 })));
		assert.is_nil(on_shelf(file("a", { shared_by = false })));
	end);
end);

describe("who sees a file", function ()
	it("is who has its permission, and who shared it", function ()
		assert.is_true(shelf.may_see(file("a"), person("doctor", "see_images")));
		assert.is_false(shelf.may_see(file("a"), person("interpreter", "see_documents")));
		assert.is_true(shelf.may_see(file("a"), person("patient")));
	end);

	it("is its sender alone until it was checked", function ()
		local pending = file("a", { pending = true });
		assert.is_false(shelf.may_see(pending, person("doctor", "see_images")));
		assert.is_true(shelf.may_see(pending, person("patient", "see_images")));
	end);
end);

describe("what is said to somebody", function ()
	it("is what is new, once", function ()
		local doctor = person("doctor", "see_images");
		local added, removed = shelf.changes(on_shelf(file("b"), file("a")), doctor);
		assert.same({ "a", "b" }, ids(added));
		assert.same({}, removed);
		added, removed = shelf.changes(on_shelf(file("b"), file("a")), doctor);
		assert.same({}, added);
		assert.same({}, removed);
	end);

	it("is what has gone", function ()
		local doctor = person("doctor", "see_images");
		shelf.changes(on_shelf(file("a"), file("b")), doctor);
		local added, removed = shelf.changes(on_shelf(file("b")), doctor);
		assert.same({}, added);
		assert.same({ "a" }, removed);
	end);

	it("follows what they may see", function ()
		local guest = person("guest", "see_images");
		shelf.changes(on_shelf(file("a")), guest);
		guest.policy.permissions = { see_images = false };
		local _, removed = shelf.changes(on_shelf(file("a")), guest);
		assert.same({ "a" }, removed);
		guest.policy.permissions = { see_images = true };
		assert.same({ "a" }, ids((shelf.changes(on_shelf(file("a")), guest))));
	end);

	it("leaves what a sender's own client shows already, and takes back what never was", function ()
		local patient = person("patient");
		patient.files = { a = true; invented = true };
		local added, removed = shelf.changes(on_shelf(file("a", { pending = true })), patient);
		assert.same({}, added);
		assert.same({ "invented" }, removed);
		assert.same({}, (shelf.changes(on_shelf(file("a")), patient)));
	end);
end);

describe("a file as Jitsi's clients know it", function ()
	it("has their names for things", function ()
		local told = shelf.as_jitsi(file("a"), "r@m", "nick");
		assert.equal("jpg", told.fileType);
		assert.equal("nick", told.authorParticipantId);
		assert.equal("A patient", told.authorParticipantName);
		assert.same({ "a", "Rash.JPG", 7, 1 }, { told.fileId, told.fileName, told.fileSize, told.timestamp });
		assert.equal("", shelf.as_jitsi(file("a", { name = "none" }), "r@m", "").fileType);
	end);

	it("is not said where it would break the stream", function ()
		local deps = { encode = function () return "x"; end; is_xml = function () return false; end };
		assert.is_nil(shelf.message(deps, "a@b/c", {}));
	end);
end);
