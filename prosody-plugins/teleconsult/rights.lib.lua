-- What somebody in a room may do there, where the service decides it and not the rules of XEP-0045. Pure.

local rights = {};

-- By name alone: Jitsi clients show a <body> or <subject> of whatever namespace.
local CHAT = { body = true; html = true };

-- Nil, or why this message is refused and what it tried. What Jitsi clients tell each other beside the chat (json-message) always passes.
-- permissions: of the policy; role: in the room, where a moderator may have made another one
function rights.against_message(message, permissions, role)
	for _, child in ipairs(message.tags) do
		if CHAT[child.name] and not permissions.chat then return "chat-not-allowed", "chat"; end
		if child.name == "subject" and role ~= "moderator" then return "not-moderator", "subject"; end
	end
	return nil;
end

local function destroys(query)
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

-- The same for a query of muc#admin or muc#owner.
function rights.against_query(query, permissions, role)
	-- configuring the room comes with moderating it; closing it for everybody does not
	if destroys(query) and not permissions.end_session then return "end-not-allowed", "end"; end
	if role ~= "moderator" then return "not-moderator", act_of(query); end
	return nil;
end

return rights;
