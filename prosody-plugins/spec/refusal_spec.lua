local refusal = dofile("teleconsult/refusal.lib.lua");

-- the little of util.stanza that is used
local function stanza_library()
	local built = {};
	local st = {};
	function st.error_reply(to, kind, condition, text, by)
		built = { to = to; kind = kind; condition = condition; text = text; by = by; children = {} };
		return {
			get_child = function ()
				return { add_child = function (_, child) table.insert(built.children, child); end };
			end;
		};
	end
	function st.stanza(name, attr) return { name = name; attr = attr }; end
	return st, function () return built; end;
end

describe("refusal.text", function ()
	it("is a code and a sentence", function ()
		assert.equal("full: The room is full.", refusal.text("full"));
		assert.equal("removed: Gone.", refusal.text("removed", "Gone."));
		assert.equal("brand-new: You may not enter this room.", refusal.text("brand-new"));
	end);

	it("is not longer than a sentence", function ()
		assert.equal(#"removed: " + 200, #refusal.text("removed", ("x"):rep(1000)));
		assert.equal("removed: " .. ("x"):rep(199), refusal.text("removed", ("x"):rep(199) .. "é"));
	end);
end);

describe("refusal.presence", function ()
	for code, condition in pairs({
		["full"] = "service-unavailable"; ["nick-taken"] = "conflict";
		["removed"] = "not-allowed"; ["anything"] = "not-allowed";
	}) do
		it("says " .. condition .. " for " .. code, function ()
			local st, built = stanza_library();
			refusal.presence(st, "stanza", code, nil, "r@muc");
			assert.same({ "cancel", condition, "r@muc" }, { built().kind, built().condition, built().by });
			assert.matches("^" .. code:gsub("%-", "%%-") .. ": ", built().text);
		end);
	end
end);

describe("refusal.presence for who has to wait", function ()
	local function told(lobby_jid)
		local found = { inside = {}; beside = {} };
		local function list(into) return function (_, child) table.insert(into, child); end; end
		local st = {
			stanza = function (name, attr)
				return { text = function (_, text) return { name = name; xmlns = attr and attr.xmlns; text = text }; end };
			end;
			error_reply = function (_, kind, condition)
				found.kind, found.condition = kind, condition;
				return {
					get_child = function () return { add_child = list(found.inside) }; end;
					add_child = list(found.beside);
				};
			end;
		};
		refusal.presence(st, "stanza", "not-admitted", nil, "r@muc", lobby_jid);
		return found;
	end

	it("names the lobby where old and new clients look for it", function ()
		local found = told("r@lobby");
		assert.same({ "auth", "registration-required" }, { found.kind, found.condition });
		assert.same({ { name = "lobbyroom"; xmlns = "http://jitsi.org/jitmeet"; text = "r@lobby" } }, found.inside);
		assert.same({ { name = "lobbyroom"; text = "r@lobby" } }, found.beside);
	end);

	it("is a plain refusal where there is no lobby", function ()
		local found = told(nil);
		assert.same({ "cancel", "not-allowed" }, { found.kind, found.condition });
		assert.same({}, found.beside);
	end);
end);

describe("refusal.conference", function ()
	it("carries the child that Jitsi clients look for", function ()
		local st, built = stanza_library();
		refusal.conference(st, "iq", "session-ended");
		assert.same({ "cancel", "service-unavailable" }, { built().kind, built().condition });
		assert.same({ {
			name = "reservation-error";
			attr = { xmlns = "http://jitsi.org/protocol/focus"; ["error-code"] = "410" };
		} }, built().children);
	end);
end);
