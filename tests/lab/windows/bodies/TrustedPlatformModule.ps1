# The TPM.
Body 'Get-Tpm' {
    param($Bound, $Cmdlet)
    $values = [ordered]@{}
    foreach ($property in (Get-DoubleState).tpm.PSObject.Properties) {
        if ($property.Name -ne 'SpecVersion') { $values[$property.Name] = $property.Value }
    }
    New-DoubleObject 'Microsoft.Tpm.Commands.TpmObject' $values
}
