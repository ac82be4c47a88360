$found = [ordered]@{ sid = ''; description = ''; enabled = $false; lasting = $false; groups = @(); rights = @(); profile = ''; keys = ''; access = '' }
$administrators = $env:ProgramData + '\ssh\administrators_authorized_keys'
$own = $env:USERPROFILE + '\.ssh\authorized_keys'
$found.wanted_keys = ''
foreach ($file in $administrators, $own) {
    if (-not $found.wanted_keys -and (Test-Path -LiteralPath $file)) { $found.wanted_keys = [string](Get-Content -LiteralPath $file -Raw) }
}
$account = Get-LocalUser | Where-Object { $_.Name -eq $user }
if ($account) {
    $sid = [string]$account.SID.Value
    $found.sid = $sid
    $found.description = [string]$account.Description
    $found.enabled = [bool]$account.Enabled
    $found.lasting = -not $account.AccountExpires -and -not $account.PasswordExpires -and -not $account.UserMayChangePassword
    $present = @(Get-LocalGroup | ForEach-Object { [string]$_.SID.Value })
    $found.groups = @($groups | Where-Object { $present -contains $_ -and @(Get-MemberSid $_) -contains $sid })
    $export = $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N')
    & secedit.exe /export /areas USER_RIGHTS /cfg $export /quiet | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "secedit: exit code $LASTEXITCODE" }
    $text = [string](Get-Content -LiteralPath $export -Raw)
    Remove-Item -LiteralPath $export
    # secedit writes some accounts by name.
    $found.rights = @($rights | Where-Object {
        $text -match "(?m)^$_ = (.*?)\s*$" -and @($Matches[1] -split ',' | Where-Object { $_ -eq "*$sid" -or $_ -eq $user })
    })
    $key = "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid"
    if (Test-Path -LiteralPath $key) { $found.profile = [string](Get-ItemProperty -LiteralPath $key).ProfileImagePath }
    $file = $found.profile + '\.ssh\authorized_keys'
    if ($found.profile -and (Test-Path -LiteralPath $file)) {
        $found.keys = [string](Get-Content -LiteralPath $file -Raw)
        $found.access = [string](Get-Acl -LiteralPath $file).Sddl
    }
}
$global:LASTEXITCODE = 0
$found
