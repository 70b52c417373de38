-- What somebody in a room may do there, where the service decides it and not the rules of XEP-0045. Pure.

local rights = {};

-- By name alone: Jitsi clients show a <body> or <subject> of whatever namespace. A reaction (XEP-0444) is a word, too.
local CHAT = { body = true; html = true; reactions = true };

-- Nil, or why this message is refused and what it tried. What Jitsi clients tell each other beside the chat (json-message) always passes.
-- permissions: of the policy; role: in the room, where a moderator may have made another one
function rights.against_message(message, permissions, role)
	for _, child in ipairs(message.tags) do
		if CHAT[child.name] and not permissions.chat then return "chat-not-allowed", "chat"; end
		if child.name == "subject" and role ~= "moderator" then return "not-moderator", "subject"; end
	end
	return nil;
end

-- Whether a query closes the room for everybody.
function rights.destroys(query)
	for _, child in ipairs(query.tags) do
		if child.name == "destroy" then return true; end
	end
	return false;
end

-- What a query of muc#admin or muc#owner tries, in one word for the record.
local function act_of(query)
	local item = query.tags[1];
	if not item or item.name ~= "item" then return "configuration"; end
	if item.attr.role == "none" or item.attr.affiliation == "outcast" then return "kick"; end
	return item.attr.affiliation and "affiliation" or "role";
end

-- Jitsi's clients make an owner of somebody or take it back, and put people out. Anything else that XEP-0045 lets a moderator
-- do to a person makes a moderator whom the service does not hear of: the role alone, or the affiliation "admin".
local AFFILIATIONS = { owner = true; member = true; none = true; outcast = true };

-- And they set a password or close the room. A room that is kept, listed, or hides who is the focus is none of ours any more.
local SETTINGS = {
	["FORM_TYPE"] = true;
	["muc#roomconfig_lobbypassword"] = true;
	["muc#roomconfig_membersonly"] = true;
	["muc#roomconfig_passwordprotectedroom"] = true;
	["muc#roomconfig_roomsecret"] = true;
	["muc#roomconfig_whois"] = "anyone";
};

local function value_of(field)
	local value = field.tags[1];
	return value and #field.tags == 1 and value:get_text() or nil;
end

local function is_offered_form(form)
	for _, field in ipairs(form.tags) do
		local allowed = field.name ~= "field" or SETTINGS[field.attr.var];
		if not allowed or (type(allowed) == "string" and value_of(field) ~= allowed) then return false; end
	end
	return true;
end

local function is_offered(query)
	for _, child in ipairs(query.tags) do
		if child.name == "item" then
			local wish = child.attr;
			if wish.role and wish.role ~= "none" then return false; end
			if wish.affiliation and not AFFILIATIONS[wish.affiliation] then return false; end
		elseif child.name == "x" and not is_offered_form(child) then
			return false;
		end
	end
	return true;
end

-- The same for a query of muc#admin or muc#owner; is_set: whether it changes anything.
function rights.against_query(query, permissions, role, is_set)
	-- configuring the room comes with moderating it; closing it for everybody does not
	if rights.destroys(query) and not permissions.end_session then return "end-not-allowed", "end"; end
	if role ~= "moderator" then return "not-moderator", act_of(query); end
	if is_set and not is_offered(query) then return "not-offered", act_of(query); end
	return nil;
end

return rights;
