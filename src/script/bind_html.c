/* html: text for HTML. */
#include "script/bind.h"

/* html.escape(text): safe as the text of an element and inside of a quoted attribute. */
static int html_escape(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0, plain = 0; i <= len; i++) {
        const char *escaped = NULL;
        if (i < len) {
            switch (text[i]) {
            case '&': escaped = "&amp;"; break;
            case '<': escaped = "&lt;"; break;
            case '>': escaped = "&gt;"; break;
            case '"': escaped = "&quot;"; break;
            case '\'': escaped = "&#39;"; break;
            default: continue;
            }
        }
        luaL_addlstring(&out, text + plain, i - plain);
        if (escaped)
            luaL_addstring(&out, escaped);
        plain = i + 1;
    }
    luaL_pushresult(&out);
    return 1;
}

const luaL_Reg html_functions[] = {{"escape", html_escape}, {NULL, NULL}};
