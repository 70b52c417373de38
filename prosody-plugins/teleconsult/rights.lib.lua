-- What somebody in a room may do there, where the service decides it and not the rules of XEP-0045. Pure.

local rights = {};

-- By name alone: Jitsi clients show a <body> or <subject> of whatever namespace.
local CHAT = { body = true; html = true };

-- Nil, or why this message is refused. What Jitsi clients tell each other beside the chat (json-message) always passes.
-- permissions: of the policy; role: in the room, where a moderator may have made another one
function rights.against_message(message, permissions, role)
	for _, child in ipairs(message.tags) do
		if CHAT[child.name] and not permissions.chat then return "chat-not-allowed"; end
		if child.name == "subject" and role ~= "moderator" then return "not-moderator"; end
	end
	return nil;
end

local function destroys(query)
	for _, child in ipairs(query.tags) do
		if child.name == "destroy" then return true; end
	end
	return false;
end

-- The same for a query of muc#admin or muc#owner.
function rights.against_query(query, permissions, role)
	if role ~= "moderator" then return "not-moderator"; end
	-- configuring the room comes with moderating it; closing it for everybody does not
	if destroys(query) and not permissions.end_session then return "end-not-allowed"; end
	return nil;
end

return rights;
