-- What of a room's files is shown to whom: Jitsi's list, for each person in the room. Pure.

local shelf = {};

local XMLNS_JITMEET = "http://jitsi.org/jitmeet";
local TYPE = "file-sharing";

local function is_text(value)
	return type(value) == "string" and value ~= "";
end

-- The files of an answer of the service, by id, or nil when it is none that we can trust to mean anything.
function shelf.read(answer)
	if type(answer.files) ~= "table" then return nil; end
	local files = {};
	for _, file in ipairs(answer.files) do
		if not (is_text(file.id) and is_text(file.permission) and type(file.shared_by) == "string") then return nil; end
		files[file.id] = file;
	end
	return files;
end

-- Whether somebody may see a file. One that is not checked yet is nobody's but its sender's.
function shelf.may_see(file, record)
	if record.participant_id == file.shared_by then return true; end
	return not file.pending and record.policy.permissions[file.permission] == true;
end

-- What is to be said to somebody so that their list is right: files to add, ids to remove. Notes it as said.
-- A file on its way is on its sender's list already, who put it there.
function shelf.changes(files, record)
	record.files = record.files or {};
	local added, removed = {}, {};
	for id in pairs(record.files) do
		if not (files[id] and shelf.may_see(files[id], record)) then
			removed[#removed + 1] = id;
			record.files[id] = nil;
		end
	end
	for id, file in pairs(files) do
		if not file.pending and not record.files[id] and shelf.may_see(file, record) then
			added[#added + 1] = file;
			record.files[id] = true;
		end
	end
	table.sort(added, function (a, b) return a.id < b.id; end);
	return added, removed;
end

local function ending(name)
	return (name:match("%.(%w+)$") or ""):lower();
end

-- A file as Jitsi's clients know it (react/features/file-sharing/types.ts). author: the nickname of who shared it, or "".
function shelf.as_jitsi(file, room_jid, author)
	return {
		fileId = file.id; fileName = file.name; fileSize = file.size_bytes; fileType = ending(file.name);
		timestamp = file.shared_at; conferenceFullName = room_jid;
		authorParticipantId = author; authorParticipantName = file.shared_by_name;
	};
end

-- deps: st, encode, is_xml(text), from (the component's address). fields: what is said. Nil when it cannot be said.
function shelf.message(deps, to, fields)
	fields.type = TYPE;
	local content = deps.encode(fields);
	if not deps.is_xml(content) then return nil; end
	return deps.st.message({ from = deps.from; to = to })
		:tag("json-message", { xmlns = XMLNS_JITMEET }):text(content):up();
end

return shelf;
